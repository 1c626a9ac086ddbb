#include "work/compare/statistics.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "base/error.h"

namespace crate {
namespace {

double density(double t, double freedom) {
  const double scale = std::exp(std::lgamma((freedom + 1) / 2) - std::lgamma(freedom / 2));
  return scale / std::sqrt(freedom * std::numbers::pi) * std::pow(1 + t * t / freedom, -(freedom + 1) / 2);
}

// P(0 < T < t), Simpson's rule in x with t = tan(x), which keeps the heavy tails short.
double upper_half(double t, double freedom) {
  constexpr int pieces = 2000;
  const double end = std::atan(t), h = end / pieces;
  double sum = 0;
  for (int i = 0; i <= pieces; ++i) {
    const double x = i * h, c = std::cos(x);
    const double weight = i == 0 || i == pieces ? 1 : (i % 2 == 1 ? 4 : 2);
    sum += weight * density(std::tan(x), freedom) / (c * c);
  }
  return sum * h / 3;
}

}  // namespace

double student_t_975(int freedom) {
  require(freedom >= 1, "[statistics] degrees of freedom must be >= 1, came {}", freedom);
  double low = 1, high = 20;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (upper_half(middle, freedom) < 0.475 ? low : high) = middle;
  }
  return low;
}

Estimate estimate(const std::vector<double>& values) {
  require(!values.empty(), "[statistics] expected at least one value");
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  if (values.size() == 1) return {mean, std::numeric_limits<double>::infinity()};
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const double error = std::sqrt(squares / (n - 1) / n);
  return {mean, student_t_975(static_cast<int>(values.size()) - 1) * error};
}

Estimate paired_difference(const std::vector<double>& a, const std::vector<double>& b) {
  require(a.size() == b.size(), "[statistics] expected as many values on both sides, came {} and {}", a.size(),
          b.size());
  std::vector<double> difference(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) difference[i] = a[i] - b[i];
  return estimate(difference);
}

}  // namespace crate
