#include "work/compress/fixed.h"

#include <array>
#include <cmath>

namespace crate::fixed {
namespace {

constexpr double ln2 = 0.69314718055994530942;
constexpr double pi = 3.14159265358979323846;

// 2^(-k/256) in Q30.
std::array<uint32_t, 257> exp2_table() {
  std::array<uint32_t, 257> table{};
  for (int k = 0; k <= 256; ++k)
    table[static_cast<std::size_t>(k)] = static_cast<uint32_t>(exp_of(-ln2 * k / 256) * (1 << 30) + 0.5);
  return table;
}

// Phi at the multiples of 1/256 from -8 to 8, in Q16 with 8 further bits.
constexpr int cdf_steps = 4096;
std::vector<int32_t> cdf_table() {
  std::vector<int32_t> table;
  for (int k = 0; k <= cdf_steps; ++k) {
    const double x = (k - cdf_steps / 2) / 256.0;
    // Phi(x) = 1/2 + phi(x) (x + x^3/3 + x^5/15 + ...): all terms of one sign.
    double term = x, sum = x;
    for (int n = 1; n < 200; ++n) {
      term *= x * x / (2 * n + 1);
      sum += term;
    }
    const double phi = exp_of(-x * x / 2) / std::sqrt(2 * pi);
    table.push_back(static_cast<int32_t>((0.5 + phi * sum) * (1 << 24) + 0.5));
  }
  return table;
}

}  // namespace

uint32_t isqrt(uint64_t x) {
  auto r = static_cast<uint64_t>(std::sqrt(static_cast<double>(x)));
  while (r > 0xFFFFFFFFU || r * r > x) --r;
  while (r < 0xFFFFFFFFU && (r + 1) * (r + 1) <= x) ++r;
  return static_cast<uint32_t>(r);
}

uint32_t exp2_minus(int64_t x) {
  static const std::array<uint32_t, 257> table = exp2_table();
  const int64_t whole = x >> 16;
  if (whole >= 31) return 0;
  const auto k = static_cast<std::size_t>((x >> 8) & 255);
  const int64_t rest = x & 255, above = table[k], below = table[k + 1];
  return static_cast<uint32_t>((above - ((above - below) * rest >> 8)) >> whole);
}

double exp_of(double x) {
  const double twos = std::floor(x / ln2 + 0.5);
  const double f = x - twos * ln2;
  double term = 1, sum = 1;
  for (int n = 1; n < 20; ++n) {
    term *= f / n;
    sum += term;
  }
  return std::ldexp(sum, static_cast<int>(twos));
}

double log_of(double x) {
  int twos = 0;
  double m = std::frexp(x, &twos);  // in [1/2, 1)
  const double y = (m - 1) / (m + 1);
  double power = y, sum = y;
  for (int n = 3; n < 60; n += 2) {
    power *= y * y;
    sum += power / n;
  }
  return 2 * sum + twos * ln2;
}

double sin_of(double x) {
  const double turns = std::floor(x / (2 * pi) + 0.5);
  const double f = x - turns * (2 * pi);
  double term = f, sum = f;
  for (int n = 1; n < 16; ++n) {
    term *= -f * f / (2.0 * n * (2.0 * n + 1));
    sum += term;
  }
  return sum;
}

double cos_of(double x) { return sin_of(x + pi / 2); }

int32_t normal_cdf(int64_t x) {
  static const std::vector<int32_t> table = cdf_table();
  const int64_t place = x + (int64_t{cdf_steps / 2} << 8);
  if (place < 0) return 0;
  if (place >= int64_t{cdf_steps} << 8) return 1 << 16;
  const auto k = static_cast<std::size_t>(place >> 8);
  const int64_t rest = place & 255, low = table[k], high = table[k + 1];
  return static_cast<int32_t>(shift_round(low + ((high - low) * rest >> 8), 8));
}

}  // namespace crate::fixed
