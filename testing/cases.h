// cases: the list of all operator cases. A new operator adds its x_cases() here and in cases.cpp.
#pragma once
#include <vector>

#include "testing/op_check.h"

namespace crate {

std::vector<OpCase> linear_cases();
std::vector<OpCase> mha_cases();
std::vector<OpCase> mssa_cases();
std::vector<OpCase> layer_norm_cases();
std::vector<OpCase> embedding_cases();
std::vector<OpCase> scale_add_cases();
std::vector<OpCase> trace_cases();
std::vector<OpCase> ista_cases();
std::vector<OpCase> ista_wide_cases();
std::vector<OpCase> mlp_cases();
std::vector<OpCase> cross_entropy_cases();
std::vector<OpCase> coding_rate_cases();
std::vector<OpCase> unit_rows_cases();
std::vector<OpCase> patches_cases();
std::vector<OpCase> add_positions_cases();
std::vector<OpCase> pool_tokens_cases();
std::vector<OpCase> class_loss_cases();
std::vector<OpCase> pick_tokens_cases();
std::vector<OpCase> patch_loss_cases();
std::vector<OpCase> resample_positions_cases();

}  // namespace crate
