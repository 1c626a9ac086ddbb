// Every form of the product against the plain loop of ref.
#include "tensor/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "base/parallel.h"
#include "base/rng.h"
#include "tensor/round.h"

namespace crate {
namespace {

struct Pair {
  std::vector<float> f32;
  std::vector<double> f64;
  Pair(std::size_t n, uint64_t stream) : f32(n), f64(n) {
    for (std::size_t i = 0; i < n; ++i) f64[i] = f32[i] = static_cast<float>(Rng(9, Stream::test).normal(stream, i));
  }
  Tensor on(DeviceKind kind, Shape shape) {
    return kind == DeviceKind::cpu ? Tensor{f32.data(), shape, Dtype::f32} : Tensor{f64.data(), shape, Dtype::f64};
  }
};

double error(const Pair& c) {
  double e = 0, size = 0;
  for (std::size_t i = 0; i < c.f32.size(); ++i) {
    e += std::pow(c.f32[i] - c.f64[i], 2);
    size += std::pow(c.f64[i], 2);
  }
  return std::sqrt(e / std::max(size, 1e-3));
}

using Form = std::tuple<std::tuple<int, int, int>, int>;  // m n k; flags
class GemmForms : public testing::TestWithParam<Form> {};

void agrees(std::tuple<int, int, int> size, int flags, Products products) {
  const auto [m, n, k] = size;
  Device cpu({.products = products, .guard = true}), ref({.kind = DeviceKind::ref});
  const auto count = [](int64_t a, int64_t b) { return static_cast<std::size_t>(a * b); };
  Pair a(count(m, k), 1), b(count(k, n), 2), c(count(m, n), 3), bias(count(n, 1), 4), plus(count(m, n), 5);
  const bool ta = flags & 1, tb = flags & 2, weight = flags & 32;
  for (int pass = 0; pass < 2; ++pass) {  // the second uses what the first kept, after the weight changed
    if (pass == 1) {
      for (std::size_t i = 0; i < b.f32.size(); ++i) b.f64[i] = b.f32[i] = -2 * b.f32[i];
      weights_changed(cpu);
    }
    for (Device* device : {&cpu, &ref}) {
      const DeviceKind kind = device->kind();
      Gemm g{.a = a.on(kind, ta ? Shape{k, m} : Shape{m, k}),
             .b = b.on(kind, tb ? Shape{n, k} : Shape{k, n}),
             .c = c.on(kind, {m, n}),
             .trans_a = ta,
             .trans_b = tb,
             .alpha = flags & 64 ? 0.25 : 1.0,
             .add = (flags & 4) != 0,
             .relu = (flags & 16) != 0,
             .b_is_weight = weight};
      if (flags & 8) {
        g.bias = bias.on(kind, {n});
        g.plus = plus.on(kind, {m, n});
      }
      gemm(*device, g);
    }
    // bf16 rounds each input to 8 bits: 2^-9 a term with random signs. int8 rounds it to some 4 sigma / 127.
    EXPECT_LT(error(c), products == Products::int8 ? 2.5e-2 : products == Products::bf16 ? 1e-2 : 2e-6);
  }
}

TEST_P(GemmForms, AgreeWithThePlainLoop) {
  const auto [size, flags] = GetParam();
  for (const Products products : {Products::f32, Products::bf16, Products::int8}) {
    SCOPED_TRACE(name_of(products));
    agrees(size, flags, products);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GemmForms,
                         testing::Combine(testing::Values(std::tuple(1, 1, 1), std::tuple(1, 36, 17),
                                                          std::tuple(13, 7, 5), std::tuple(64, 48, 96),
                                                          std::tuple(37, 61, 129), std::tuple(200, 33, 64)),
                                          testing::Range(0, 128)));

// The gradients of weights: many rows, edges in both directions, with and without what was there.
TEST(Gemm, SumsOuterProductsOfManyRows) {
  for (const Products products : {Products::f32, Products::bf16}) {
    for (const auto& [m, n, k] :
         {std::tuple(5, 7, 300), std::tuple(48, 64, 512), std::tuple(55, 67, 257), std::tuple(131, 200, 701)}) {
      for (const bool add : {false, true}) {
        Device cpu({.products = products, .guard = true}), ref({.kind = DeviceKind::ref});
        Pair a(static_cast<std::size_t>(k * m), 1), b(static_cast<std::size_t>(k * n), 2),
            c(static_cast<std::size_t>(m * n), 3);
        for (Device* device : {&cpu, &ref}) {
          const DeviceKind kind = device->kind();
          gemm(*device, {.a = a.on(kind, {k, m}),
                         .b = b.on(kind, {k, n}),
                         .c = c.on(kind, {m, n}),
                         .trans_a = true,
                         .alpha = -0.7,
                         .add = add});
        }
        EXPECT_LT(error(c), products == Products::bf16 ? 1e-2 : 2e-6) << m << " " << n << " " << k << " " << add;
      }
    }
  }
}

std::vector<Bf16> rounded(const std::vector<float>& x) {
  std::vector<Bf16> out(x.size());
  round_bf16(x.data(), &out.data()->bits, static_cast<int64_t>(x.size()));
  return out;
}

// Flags: a, b, c, plus are bf16 (1, 2, 4, 8), a and b lie transposed (16, 32), b is a weight (64), c grows (128).
void narrow_agrees(int64_t m, int64_t n, int64_t k, int flags) {
  Device cpu({.products = Products::bf16, .guard = true}), ref({.kind = DeviceKind::ref});
  Pair a(static_cast<std::size_t>(m * k), 1), b(static_cast<std::size_t>(k * n), 2),
      c(static_cast<std::size_t>(m * n), 3), plus(static_cast<std::size_t>(m * n), 4);
  std::vector<Bf16> low_a = rounded(a.f32), low_b = rounded(b.f32), low_c(c.f32.size()), low_plus = rounded(plus.f32);
  for (Device* device : {&cpu, &ref}) {
    const DeviceKind kind = device->kind();
    const auto pick = [&](int flag, Pair& wide, std::vector<Bf16>& low, Shape shape) {
      const bool is_low = (flags & flag) != 0 && kind == DeviceKind::cpu;
      return is_low ? Tensor{low.data(), shape, Dtype::bf16} : wide.on(kind, shape);
    };
    Gemm g{.a = pick(1, a, low_a, flags & 16 ? Shape{k, m} : Shape{m, k}),
           .b = pick(2, b, low_b, flags & 32 ? Shape{n, k} : Shape{k, n}),
           .c = pick(4, c, low_c, {m, n}),
           .trans_a = (flags & 16) != 0,
           .trans_b = (flags & 32) != 0,
           .alpha = -0.7,
           .add = (flags & 128) != 0,
           .b_is_weight = (flags & 64) != 0};
    if (flags & 8) g.plus = pick(8, plus, low_plus, {m, n});
    gemm(*device, g);
  }
  if (flags & 4) widen_bf16(&low_c.data()->bits, c.f32.data(), m * n);
  EXPECT_LT(error(c), 1e-2) << m << " " << n << " " << k << " " << flags;
}

TEST(Gemm, ReadsAndLeavesWhatIsKeptAsBf16) {
  if (Device({.products = Products::bf16}).operand() != Dtype::bf16) GTEST_SKIP() << "this machine keeps no bf16";
  for (int flags = 0; flags < 256; ++flags) {
    const bool b_both = (flags & 2) != 0 && (flags & 64) != 0;  // a weight is f32
    if ((flags & 15) == 0 || b_both || ((flags & 4) != 0 && (flags & 128) != 0)) continue;
    for (const auto& [m, n, k] : {std::tuple(1, 5, 7), std::tuple(37, 61, 33), std::tuple(55, 67, 301)})
      narrow_agrees(m, n, k, flags);
  }
  Device f32;
  Pair c(4, 3);
  std::vector<Bf16> a(4);
  const Tensor low{a.data(), {2, 2}, Dtype::bf16};
  EXPECT_THROW(gemm(f32, {.a = low, .b = low, .c = c.on(DeviceKind::cpu, {2, 2})}), Error);
}

TEST(Gemm, OuterProductsDoNotDependOnTheThreads) {
  constexpr int64_t m = 150, n = 130, k = 600;
  for (const Products products : {Products::f32, Products::bf16}) {
    Device cpu({.products = products});
    Pair a(m * k, 1), b(n * k, 2), one(m * n, 3), many(m * n, 4);
    const auto kind = DeviceKind::cpu;
    const auto sum = [&](Pair& c) {
      gemm(cpu, {.a = a.on(kind, {k, m}), .b = b.on(kind, {k, n}), .c = c.on(kind, {m, n}), .trans_a = true});
    };
    sum(many);
    const int threads = thread_count();
    set_thread_count(1);
    sum(one);
    set_thread_count(threads);
    EXPECT_EQ(one.f32, many.f32);
  }
}

// Blocks, in their own order of work, leave the bits of the plain loop.
TEST(Gemm, InDoubleIsThePlainLoopBitForBit) {
  Device ref({.kind = DeviceKind::ref});
  const int64_t m = 37, n = 61, k = 129;
  const Pair a(m * k, 1), b(k * n, 2);
  std::vector<double> c(m * n);
  for (const int flags : {0, 1, 2, 3}) {
    const bool ta = flags & 1, tb = flags & 2;
    Pair x = a, y = b;
    gemm(ref, {.a = x.on(DeviceKind::ref, ta ? Shape{k, m} : Shape{m, k}),
               .b = y.on(DeviceKind::ref, tb ? Shape{n, k} : Shape{k, n}),
               .c = {c.data(), {m, n}, Dtype::f64},
               .trans_a = ta,
               .trans_b = tb});
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) sum += a.f64[ta ? l * m + i : i * k + l] * b.f64[tb ? j * k + l : l * n + j];
        ASSERT_EQ(c[i * n + j], sum) << flags << " " << i << " " << j;
      }
    }
  }
}

TEST(Gemm, RefusesShapesThatDoNotFit) {
  Device cpu;
  Pair a(6, 1), b(6, 2), c(4, 3);
  const auto cpu_kind = DeviceKind::cpu;
  EXPECT_THROW(gemm(cpu, {.a = a.on(cpu_kind, {2, 3}), .b = b.on(cpu_kind, {2, 3}), .c = c.on(cpu_kind, {2, 2})}),
               Error);
  EXPECT_NO_THROW(gemm(cpu, {.a = a.on(cpu_kind, {2, 3}), .b = b.on(cpu_kind, {3, 2}), .c = c.on(cpu_kind, {2, 2})}));
}

TEST(Gemm, RowSlicesInParallelGiveTheWhole) {
  constexpr int64_t m = 301, n = 65, k = 96;
  for (const Products products : {Products::f32, Products::bf16, Products::int8}) {
    Device cpu({.products = products});
    Pair a(m * k, 1), b(k * n, 2), whole(m * n, 3), parts(m * n, 4);
    const auto kind = DeviceKind::cpu;
    gemm(cpu, {.a = a.on(kind, {m, k}),
               .b = b.on(kind, {n, k}),
               .c = whole.on(kind, {m, n}),
               .trans_b = true,
               .b_is_weight = true});
    parallel_chunks(m, 64, [&](int64_t, int64_t lo, int64_t hi) {
      gemm(cpu, {.a = a.on(kind, {m, k}).row_slice(lo, hi),
                 .b = b.on(kind, {n, k}),
                 .c = parts.on(kind, {m, n}).row_slice(lo, hi),
                 .trans_b = true,
                 .b_is_weight = true});
    });
    for (std::size_t i = 0; i < parts.f32.size(); ++i) ASSERT_NEAR(parts.f32[i], whole.f32[i], 1e-4) << i;
  }
}

}  // namespace
}  // namespace crate
