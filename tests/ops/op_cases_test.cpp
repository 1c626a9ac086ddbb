// Every operator case as a test: values, gradients, write modes and fences.
#include <gtest/gtest.h>

#include "testing/op_check.h"

namespace crate {
namespace {

std::vector<OpCase> tested_cases() {
  std::vector<OpCase> cases;
  for (OpCase& c : all_op_cases()) {
    if (!c.bench_only) cases.push_back(std::move(c));
  }
  return cases;
}

class OpCases : public testing::TestWithParam<OpCase> {};
using FrozenCases = OpCases;
using Bf16Cases = OpCases;

TEST_P(OpCases, ValuesAgreeWithTheReference) {
  const CheckResult r = check_values(GetParam());
  EXPECT_TRUE(r.ok) << r.detail;
}

TEST_P(OpCases, GradientsAgreeWithTheComplexStep) {
  const CheckResult r = check_gradients(GetParam());
  EXPECT_TRUE(r.ok) << r.detail;
}

TEST_P(FrozenCases, RuleAgreesWithTheComplexStepAndIsComplete) {
  const CheckResult r = check_frozen(GetParam());
  EXPECT_TRUE(r.ok) << r.detail;
}

TEST_P(Bf16Cases, ValuesAndGradientsAreNearTheReference) {
  const CheckResult r = check_bf16(GetParam());
  EXPECT_TRUE(r.ok) << r.detail;
}

std::vector<OpCase> frozen_cases() {
  std::vector<OpCase> cases = tested_cases();
  std::erase_if(cases, [](const OpCase& c) { return !c.has_frozen_rule; });
  return cases;
}

std::vector<OpCase> bf16_cases() {
  std::vector<OpCase> cases = tested_cases();
  std::erase_if(cases, [](const OpCase& c) { return c.bf16_tolerance == 0; });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, Bf16Cases, testing::ValuesIn(bf16_cases()),
                         [](const auto& info) { return info.param.op + "_" + info.param.name; });

INSTANTIATE_TEST_SUITE_P(All, FrozenCases, testing::ValuesIn(frozen_cases()),
                         [](const auto& info) { return info.param.op + "_" + info.param.name; });

INSTANTIATE_TEST_SUITE_P(All, OpCases, testing::ValuesIn(tested_cases()),
                         [](const auto& info) { return info.param.op + "_" + info.param.name; });

}  // namespace
}  // namespace crate
