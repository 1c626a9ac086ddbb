// The exact products against chains of std::fma, on every instruction set and for every number of threads.
#include "tensor/exact.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/parallel.h"
#include "base/rng.h"

namespace crate {
namespace {

std::vector<float> numbers(int64_t n, uint64_t major) {
  const Rng rng(1, Stream::test);
  std::vector<float> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(static_cast<float>(rng.normal(major, static_cast<uint64_t>(i))));
  return out;
}

struct Case {
  int64_t m, n, k;
  bool trans_a, trans_b, add, weight;
};

std::vector<float> by_definition(const Case& s, const std::vector<float>& a, const std::vector<float>& b,
                                 std::vector<float> c) {
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      float sum = s.add ? c[static_cast<std::size_t>(i * s.n + j)] : 0.0F;
      for (int64_t l = 0; l < s.k; ++l)
        sum = std::fma(a[static_cast<std::size_t>(s.trans_a ? l * s.m + i : i * s.k + l)],
                       b[static_cast<std::size_t>(s.trans_b ? j * s.k + l : l * s.n + j)], sum);
      c[static_cast<std::size_t>(i * s.n + j)] = sum;
    }
  }
  return c;
}

std::vector<float> computed(const Case& s, std::vector<float> a, std::vector<float> b, std::vector<float> c) {
  Device device({.exact = true});
  const auto view = [](std::vector<float>& x, int64_t rows, int64_t cols) {
    return Tensor{x.data(), {rows, cols}, Dtype::f32};
  };
  gemm(device, {.a = s.trans_a ? view(a, s.k, s.m) : view(a, s.m, s.k),
                .b = s.trans_b ? view(b, s.n, s.k) : view(b, s.k, s.n),
                .c = view(c, s.m, s.n),
                .trans_a = s.trans_a,
                .trans_b = s.trans_b,
                .add = s.add,
                .b_is_weight = s.weight});
  return c;
}

TEST(Exact, EveryBitIsThatOfTheDefinition) {
  try {
    exact_kernels();
  } catch (const Error& e) {
    GTEST_SKIP() << e.what();
  }
  const int threads = omp_get_max_threads();
  for (const Case& s : {Case{1, 1, 1, false, false, false, false},
                        {7, 65, 3, false, true, false, true},
                        {61, 130, 37, false, true, true, true},
                        {50, 17, 600, true, false, true, false},
                        {5, 200, 64, false, false, false, false},
                        {96, 257, 1100, true, false, false, false}}) {
    const auto a = numbers(s.m * s.k, 1), b = numbers(s.k * s.n, 2), c = numbers(s.m * s.n, 3);
    const auto wanted = by_definition(s, a, b, c);
    for (const char* set : {"", "avx2"}) {
      setenv("CRATE_ISA", set, 1);
      for (const int count : {1, 3}) {
        set_thread_count(count);
        EXPECT_EQ(computed(s, a, b, c), wanted) << s.m << ' ' << s.n << ' ' << s.k << " \"" << set << "\" " << count;
      }
    }
  }
  unsetenv("CRATE_ISA");
  set_thread_count(threads);
}

TEST(Exact, SaysWhereItCannotBe) {
  setenv("CRATE_ISA", "baseline", 1);
  EXPECT_THROW(exact_kernels(), Error);
  unsetenv("CRATE_ISA");
}

}  // namespace
}  // namespace crate
