// The vector functions against the standard library in double.
#include "tensor/vector.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace crate {
namespace {

CRATE_CLONES void exp_numbers(const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = vec::exp(x[i]);
}

CRATE_CLONES void normal_numbers(const float* x, float* density, float* below, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const vec::Normal p = vec::normal(x[i]);
    density[i] = p.density;
    below[i] = p.below;
  }
}

CRATE_CLONES float sum_numbers(const float* x, int64_t n) {
  return vec::sum(n, [x](int64_t j) { return x[j]; });
}

CRATE_CLONES float largest_number(const float* x, int64_t n) {
  return vec::largest(n, [x](int64_t j) { return x[j]; });
}

std::vector<float> range(double from, double to, int64_t n) {
  std::vector<float> x;
  for (int64_t i = 0; i < n; ++i)
    x.push_back(static_cast<float>(from + (to - from) * static_cast<double>(i) / static_cast<double>(n - 1)));
  return x;
}

TEST(Vector, ExpIsGoodToTwoRoundings) {
  const auto x = range(-63.9, 88, 100003);
  std::vector<float> y(x.size());
  exp_numbers(x.data(), y.data(), static_cast<int64_t>(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(static_cast<double>(x[i]));
    ASSERT_NEAR(y[i], expected, 2e-7 * expected) << x[i];
  }
}

TEST(Vector, ExpVanishesEarlyAndCarriesNan) {
  const std::vector<float> x = {-65, -1e30F, -std::numeric_limits<float>::infinity(), std::nanf("")};
  std::vector<float> y(x.size());
  exp_numbers(x.data(), y.data(), static_cast<int64_t>(x.size()));
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[2], 0);
  EXPECT_TRUE(std::isnan(y[3]));
}

TEST(Vector, NormalIntegralAndDensity) {
  const auto x = range(-11, 11, 100003);
  std::vector<float> density(x.size()), below(x.size());
  normal_numbers(x.data(), density.data(), below.data(), static_cast<int64_t>(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double a = x[i];
    const double phi = std::exp(-0.5 * a * a) / std::sqrt(2 * std::acos(-1.0)),
                 integral = 0.5 * std::erfc(-a / std::sqrt(2.0));
    // a^2 / 2 is rounded before the exponential: its relative error grows with it.
    const double tolerance = 4e-7 + 0.5 * a * a * 1.2e-7;
    ASSERT_NEAR(below[i], integral, tolerance * integral) << a;
    ASSERT_NEAR(density[i], phi, tolerance * phi) << a;
  }
}

TEST(Vector, SumAndLargestOfEveryLength) {
  for (int64_t n = 1; n < 70; ++n) {
    std::vector<float> x;
    for (int64_t i = 0; i < n; ++i) x.push_back(static_cast<float>((i * 37) % 101) - 50);
    double sum = 0;
    float largest = x[0];
    for (const float value : x) {
      sum += value;
      largest = std::max(largest, value);
    }
    EXPECT_EQ(sum_numbers(x.data(), n), sum) << n;  // small integers: no rounding
    EXPECT_EQ(largest_number(x.data(), n), largest) << n;
  }
}

}  // namespace
}  // namespace crate
