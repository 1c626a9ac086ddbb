// Small dense matrices against what they are by definition.
#include "base/dense.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace crate {
namespace {

// B B' of a random B (n, rank).
std::vector<double> gram(int64_t n, int64_t rank, uint64_t seed) {
  const Rng rng(seed, Stream::test);
  std::vector<double> b(static_cast<std::size_t>(n * rank)), g(static_cast<std::size_t>(n * n));
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = rng.normal(0, i);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) g[i * n + j] = dot(b.data() + i * rank, b.data() + j * rank, rank);
  return g;
}

TEST(Dense, EigenvectorsAreOrthonormalAndGiveTheMatrix) {
  const int64_t n = 23;
  const std::vector<double> a = gram(n, 9, 3);  // rank 9: a zero of multiplicity 14
  const SymmetricEigen e = symmetric_eigen(a, n);
  for (int64_t i = 0; i < n; ++i) {
    EXPECT_LE(e.values[i], e.values[std::max<int64_t>(0, i - 1)]);
    for (int64_t j = 0; j < n; ++j) {
      EXPECT_NEAR(dot(&e.vectors[i * n], &e.vectors[j * n], n), i == j ? 1 : 0, 1e-12);
      double sum = 0;
      for (int64_t k = 0; k < n; ++k) sum += e.vectors[k * n + i] * e.values[k] * e.vectors[k * n + j];
      EXPECT_NEAR(sum, a[i * n + j], 1e-11);
    }
  }
  EXPECT_GT(e.values[8], 0.1);
  EXPECT_NEAR(e.values[9], 0, 1e-11);
}

TEST(Dense, TridiagonalEigenIsThatOfTheWholeMatrix) {
  const int64_t n = 40;
  const Rng rng(7, Stream::test);
  std::vector<double> d(static_cast<std::size_t>(n)), e(d.size()), a(static_cast<std::size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) {
    a[i * n + i] = d[i] = rng.normal(0, static_cast<uint64_t>(i));
    e[i] = i % 13 == 12 ? 0 : rng.normal(1, static_cast<uint64_t>(i));  // falls apart in four
    if (i + 1 < n) a[i * n + i + 1] = a[(i + 1) * n + i] = e[i];
  }
  const SymmetricEigen got = tridiagonal_eigen(d, e), want = symmetric_eigen(a, n);
  for (int64_t k = 0; k < n; ++k) {
    EXPECT_NEAR(got.values[k], want.values[k], 1e-12);
    for (int64_t i = 0; i < n; ++i)
      EXPECT_NEAR(dot(&a[i * n], &got.vectors[k * n], n), got.values[k] * got.vectors[k * n + i], 1e-12);
  }
  EXPECT_EQ(tridiagonal_eigen({3}, {}).vectors, (std::vector<double>{1}));
}

}  // namespace
}  // namespace crate
