// cases: the list of all operator cases. A new operator adds its x_cases() here and in cases.cpp.
#pragma once
#include <vector>

#include "testing/op_check.h"

namespace crate {

std::vector<OpCase> linear_cases();
std::vector<OpCase> mha_cases();
std::vector<OpCase> mssa_cases();

}  // namespace crate
