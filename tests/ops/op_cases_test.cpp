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

TEST_P(OpCases, ValuesAgreeWithTheReference) {
  const CheckResult r = check_values(GetParam());
  EXPECT_TRUE(r.ok) << r.detail;
}

TEST_P(OpCases, GradientsAgreeWithTheComplexStep) {
  const CheckResult r = check_gradients(GetParam());
  EXPECT_TRUE(r.ok) << r.detail;
}

TEST_P(OpCases, FrozenRuleAgreesWithTheComplexStepAndIsComplete) {
  if (GetParam().is_loss) GTEST_SKIP() << "a loss is not linear in its logits: it has no frozen rule";
  const CheckResult r = check_frozen(GetParam());
  EXPECT_TRUE(r.ok) << r.detail;
}

INSTANTIATE_TEST_SUITE_P(All, OpCases, testing::ValuesIn(tested_cases()),
                         [](const auto& info) { return info.param.op + "_" + info.param.name; });

}  // namespace
}  // namespace crate
