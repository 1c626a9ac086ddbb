#include "testing/cases.h"

namespace crate {

std::vector<OpCase> all_op_cases() {
  std::vector<OpCase> all;
  for (auto* cases : {
           &linear_cases,        &mha_cases,         &mssa_cases,        &layer_norm_cases, &embedding_cases,
           &scale_add_cases,     &trace_cases,       &ista_cases,        &ista_wide_cases,  &mlp_cases,
           &cross_entropy_cases, &coding_rate_cases, &unit_rows_cases,   &patches_cases,    &add_positions_cases,
           &pool_tokens_cases,   &class_loss_cases,  &pick_tokens_cases, &patch_loss_cases, &resample_positions_cases,
       }) {
    for (OpCase& c : cases()) all.push_back(std::move(c));
  }
  return all;
}

}  // namespace crate
