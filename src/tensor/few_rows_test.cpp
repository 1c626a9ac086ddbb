// The products of a few rows in every type against sums in double.
#include "tensor/few_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "base/parallel.h"
#include "base/rng.h"
#include "tensor/few_rows_table.h"

namespace crate {
namespace {

std::vector<float> random_numbers(int64_t n, uint64_t stream) {
  std::vector<float> out(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(Rng(7, Stream::test).normal(stream, i));
  return out;
}

Tensor matrix(std::vector<float>& x, int64_t rows, int64_t cols) { return {x.data(), {rows, cols}, Dtype::f32}; }

// Relative to the size of c, over inputs drawn from a normal law: f32 rounds 2^-24 a step; bf16 2^-9 an input with
// random signs; int8 about max / 254 / sqrt(3) of a row of W, x being finer.
double tolerance(Products products) {
  return products == Products::f32 ? 2e-6 : products == Products::bf16 ? 5e-3 : 1.5e-2;
}

struct Case {
  int64_t m, n, k;
  std::vector<float> x, w, bias, plus, c;
  Case(int64_t m, int64_t n, int64_t k)
      : m(m),
        n(n),
        k(k),
        x(random_numbers(m * k, 1)),
        w(random_numbers(n * k, 2)),
        bias(random_numbers(n, 3)),
        plus(random_numbers(m * n, 4)),
        c(random_numbers(m * n, 5)) {}
  Gemm gemm(bool dots) {
    return {.a = matrix(x, m, k),
            .b = dots ? matrix(w, n, k) : matrix(w, k, n),
            .c = matrix(c, m, n),
            .trans_b = dots,
            .b_is_weight = true};
  }
  double want(bool dots, const Gemm& g, int64_t i, int64_t j, float before) const {
    double sum = 0;
    for (int64_t l = 0; l < k; ++l) sum += double{x[i * k + l]} * w[dots ? j * k + l : l * n + j];
    sum = g.alpha * sum + (g.add ? before : 0) + (g.bias ? bias[j] : 0) + (g.plus ? plus[i * n + j] : 0);
    return g.relu && sum <= 0 ? 0 : sum;
  }
  double error(bool dots, const Gemm& g, const std::vector<float>& before) const {
    double e = 0, size = 0;
    for (int64_t i = 0; i < m * n; ++i) {
      const double y = want(dots, g, i / n, i % n, before[i]);
      e += std::pow(c[i] - y, 2);
      size += y * y;
    }
    return std::sqrt(e / size);
  }
};

class FewRows : public testing::TestWithParam<std::tuple<Products, bool, int>> {};

TEST_P(FewRows, AreTheSumsTheyMean) {
  const auto [products, dots, m] = GetParam();
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{71, 485}, {256, 770}, {130, 9}}) {
    for (const int flags : {0, 1, 2, 4, 8, 15}) {
      Device device({.products = products, .guard = true});
      Case one(m, n, k);
      Gemm g = one.gemm(dots);
      g.alpha = flags & 1 ? -0.25 : 1.0;
      g.add = (flags & 2) != 0;
      if (flags & 4) g.bias = matrix(one.bias, 1, n);
      if (flags & 4) g.plus = matrix(one.plus, m, n);
      g.relu = (flags & 8) != 0;
      const std::vector<float> before = one.c;
      gemm(device, g);
      EXPECT_LT(one.error(dots, g, before), m * n * k > 1 << 15 ? tolerance(products) : 2e-6) << n << " " << flags;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FewRows,
                         testing::Combine(testing::Values(Products::f32, Products::bf16, Products::int8),
                                          testing::Bool(), testing::Range(1, 9)));

class FewRowsIn : public testing::TestWithParam<std::tuple<Products, bool>> {};

// Neither the threads nor the rows beside it change a row.
TEST_P(FewRowsIn, EachRowIsItsOwn) {
  const auto [products, dots] = GetParam();
  Case all(8, 320, 1100);
  for (int64_t l = 0; l < 8 * 1100; ++l) all.x[l] = l % 3 == 0 ? all.x[l] : 0;
  const int threads = thread_count();
  std::vector<float> first;
  for (const int count : {1, 2, 3, 5}) {
    set_thread_count(count);
    Device device({.products = products});
    gemm(device, all.gemm(dots));
    if (first.empty()) first = all.c;
    EXPECT_EQ(all.c, first) << count;
  }
  set_thread_count(threads);
  Device device({.products = products});
  for (int64_t i = 0; i < 8; ++i) {
    Case one(1, 320, 1100);
    std::copy_n(all.x.begin() + i * 1100, 1100, one.x.begin());
    gemm(device, one.gemm(dots));
    for (int64_t j = 0; j < 320; ++j) ASSERT_EQ(one.c[j], first[i * 320 + j]) << i << " " << j;
  }
}

// Only the atoms that are named are read, and the weight is read anew after it changed.
TEST_P(FewRowsIn, ReadWhatIsNamedAndWhatIsNew) {
  const auto [products, dots] = GetParam();
  Case one(2, 64, 2048);
  for (int64_t l = 0; l < 2 * 2048; ++l) one.x[l] = l % 2048 == 3 || l == 2048 + 70 ? one.x[l] : 0;
  Device device({.products = products});
  const int64_t bytes = products == Products::f32 ? 4 : products == Products::bf16 ? 2 : 1;
  gemm(device, one.gemm(dots));
  EXPECT_EQ(weight_bytes_read(device), 64 * bytes * (dots ? 2048 : 2));
  const std::vector<float> before = one.c;
  for (float& w : one.w) w *= -2;
  weights_changed(device);
  gemm(device, one.gemm(dots));
  for (std::size_t i = 0; i < before.size(); ++i) ASSERT_EQ(one.c[i], -2 * before[i]);
}

INSTANTIATE_TEST_SUITE_P(All, FewRowsIn,
                         testing::Combine(testing::Values(Products::f32, Products::bf16, Products::int8),
                                          testing::Bool()));

TEST(FewRowsKernels, NanIsNotHidden) {
  Device device;
  Case one(1, 64, 256);
  one.x.assign(256, 0);
  one.x[5] = NAN;
  gemm(device, one.gemm(false));
  EXPECT_TRUE(std::isnan(one.c[0]));
}

TEST(FewRowsKernels, WholeNumbersAddUpToTheSameOnEveryInstructionSet) {
  for (const int64_t k : {5, 64, 777}) {
    std::vector<int16_t> x(static_cast<std::size_t>(8 * k));
    std::vector<int8_t> w(static_cast<std::size_t>(64 * k));
    const Rng rng(3, Stream::test);
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<int16_t>(static_cast<int>(rng.below(40000, 0, i)) - 20000);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<int8_t>(static_cast<int>(rng.below(255, 1, i)) - 127);
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
      if (isa > cpu_isa()) continue;
      for (int64_t m = 1; m <= 8; ++m) {
        std::vector<int32_t> sums(8 * few::most_sums);
        few::table_of(isa).int8.dots(x.data(), m, w.data(), 61, k, sums.data());
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < 61; ++j) {
            int32_t sum = 0;
            for (int64_t l = 0; l < k; ++l) sum += x[i * k + l] * w[j * k + l];
            ASSERT_EQ(sums[i * few::most_sums + j], sum) << name_of(isa) << " " << i << " " << j;
          }
        }
      }
    }
  }
}

TEST(FewRowsKernels, FloatsAddUpOnEveryInstructionSet) {
  const int64_t k = 101;
  std::vector<float> x = random_numbers(8 * k, 1), w = random_numbers(61 * k, 2);
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa > cpu_isa()) continue;
    std::vector<float> sums(8 * few::most_sums), y(k);
    few::table_of(isa).f32.dots(x.data(), 8, w.data(), 61, k, sums.data());
    for (int64_t i = 0; i < 8; ++i) {
      for (int64_t j = 0; j < 61; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) sum += double{x[i * k + l]} * w[j * k + l];
        ASSERT_NEAR(sums[i * few::most_sums + j], sum, 1e-4) << name_of(isa);
      }
    }
    const std::vector<int32_t> at = {3, 5, 8, 13, 21, 34, 55};
    few::table_of(isa).f32.add_rows(at.data(), x.data(), 7, w.data(), k, y.data());
    for (int64_t j = 0; j < k; ++j) {
      double sum = 0;
      for (std::size_t t = 0; t < at.size(); ++t) sum += double{x[t]} * w[at[t] * k + j];
      ASSERT_NEAR(y[j], sum, 1e-5) << name_of(isa);
    }
  }
}

}  // namespace
}  // namespace crate
