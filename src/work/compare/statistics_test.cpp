#include "work/compare/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace crate {
namespace {

// Two-sided 95 % points as every table of Student's t has them.
TEST(Statistics, StudentsT) {
  EXPECT_NEAR(student_t_975(1), 12.7062, 1e-3);
  EXPECT_NEAR(student_t_975(2), 4.30265, 1e-4);
  EXPECT_NEAR(student_t_975(9), 2.26216, 1e-4);
  EXPECT_NEAR(student_t_975(200), 1.97190, 1e-4);
}

TEST(Statistics, IntervalsOfAMean) {
  const Estimate e = estimate({1, 2, 3});
  EXPECT_DOUBLE_EQ(e.mean, 2);
  EXPECT_NEAR(e.half_width, 4.30265 / std::sqrt(3.0), 1e-4);
  EXPECT_TRUE(std::isinf(estimate({1}).half_width));
  EXPECT_THROW(estimate({}), Error);
}

TEST(Statistics, PairsRemoveWhatTheyShare) {
  const Estimate d = paired_difference({1.1, 5.1, 9.1}, {1, 5, 9});
  EXPECT_NEAR(d.mean, 0.1, 1e-12);
  EXPECT_LT(d.half_width, 1e-12);
  EXPECT_THROW(paired_difference({1}, {1, 2}), Error);
}

}  // namespace
}  // namespace crate
