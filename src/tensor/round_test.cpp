// Rounding: to the nearest, ties to even; an int8 row is within half a step of what it stands for.
#include "tensor/round.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace crate {
namespace {

std::vector<float> random_matrix(int64_t rows, int64_t n) {
  std::vector<float> x(static_cast<std::size_t>(rows * n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(Rng(3, Stream::test).normal(1, i));
  return x;
}

TEST(Round, Bf16IsTheNearestWithTiesToEven) {
  const std::vector<float> x = {1.0F, 1.0F + 0x1p-9F, 1.0F + 0x1p-8F, 1.0F + 3 * 0x1p-8F, -3.14159274F, 0.0F};
  const std::vector<float> wanted = {1.0F, 1.0F, 1.0F, 1.0F + 0x1p-6F, -3.140625F, 0.0F};
  std::vector<uint16_t> out(x.size());
  round_bf16(x.data(), out.data(), static_cast<int64_t>(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(std::bit_cast<float>(static_cast<uint32_t>(out[i]) << 16), wanted[i]) << x[i];
}

TEST(Round, WideningBf16IsExact) {
  const std::vector<float> x = random_matrix(3, 37);
  std::vector<uint16_t> once(x.size()), twice(x.size());
  std::vector<float> wide(x.size());
  const auto n = static_cast<int64_t>(x.size());
  round_bf16(x.data(), once.data(), n);
  widen_bf16(once.data(), wide.data(), n);
  round_bf16(wide.data(), twice.data(), n);
  EXPECT_EQ(once, twice);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(wide[i], x[i], 0x1p-8F * std::abs(x[i]));
}

TEST(Round, Int8RowsAreWithinHalfAStep) {
  constexpr int64_t rows = 5, n = 37;
  std::vector<float> x = random_matrix(rows, n), scales(rows);
  std::fill_n(x.begin() + 2 * n, n, 0.0F);
  std::vector<int8_t> q(x.size());
  round_int8(x.data(), q.data(), scales.data(), n, 0, rows);
  EXPECT_EQ(scales[2], 0);
  for (int64_t i = 0; i < rows; ++i) {
    int most = 0;
    for (int64_t j = 0; j < n; ++j) {
      most = std::max(most, std::abs(q[i * n + j]));
      EXPECT_LE(std::abs(x[i * n + j] - scales[i] * q[i * n + j]), 0.5001F * scales[i]);
    }
    EXPECT_EQ(most, i == 2 ? 0 : 127);
  }
}

TEST(Round, Int8ColumnsAreTheRowsOfTheTranspose) {
  constexpr int64_t rows = 19, n = 23;
  const std::vector<float> x = random_matrix(rows, n);
  std::vector<float> turned(x.size()), scales(n), row_scales(n);
  std::vector<int8_t> q(x.size()), by_rows(x.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) turned[j * rows + i] = x[i * n + j];
  round_int8_columns(x.data(), q.data(), scales.data(), rows, n, 0, n);
  round_int8(turned.data(), by_rows.data(), row_scales.data(), rows, 0, n);
  EXPECT_EQ(scales, row_scales);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) EXPECT_NEAR(q[i * n + j], by_rows[j * rows + i], 1) << i << " " << j;
}

}  // namespace
}  // namespace crate
