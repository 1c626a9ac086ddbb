#include "testing/cases.h"

namespace crate {

std::vector<OpCase> all_op_cases() {
  std::vector<OpCase> all;
  for (auto* cases : {&linear_cases, &mha_cases, &mssa_cases}) {
    for (OpCase& c : cases()) all.push_back(std::move(c));
  }
  return all;
}

}  // namespace crate
