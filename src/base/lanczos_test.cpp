// Lanczos against Jacobi, on operators with gaps, clusters and repeated eigenvalues.
#include "base/lanczos.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/rng.h"

namespace crate {
namespace {

Operator product_with(const std::vector<double>& a, int64_t n) {
  return [&a, n](const double* x, double* y) {
    for (int64_t i = 0; i < n; ++i) y[i] = dot(&a[i * n], x, n);
  };
}

void expect_eigen(const std::vector<double>& a, int64_t n, const SymmetricEigen& e, double tolerance) {
  const auto count = static_cast<int64_t>(e.values.size());
  const SymmetricEigen all = symmetric_eigen(a, n);
  for (int64_t k = 0; k < count; ++k) {
    EXPECT_NEAR(e.values[k], all.values[k], tolerance);
    for (int64_t i = 0; i < n; ++i)
      EXPECT_NEAR(dot(&a[i * n], &e.vectors[k * n], n), e.values[k] * e.vectors[k * n + i], 10 * tolerance);
    for (int64_t j = 0; j <= k; ++j) EXPECT_NEAR(dot(&e.vectors[k * n], &e.vectors[j * n], n), k == j ? 1 : 0, 1e-9);
  }
}

TEST(Lanczos, FindsTheLargestOfARandomMatrix) {
  const int64_t n = 120;
  const Rng rng(4, Stream::test);
  std::vector<double> a(static_cast<std::size_t>(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) a[i * n + j] = a[j * n + i] = rng.normal(1, static_cast<uint64_t>(i * n + j));
  expect_eigen(a, n, largest_eigen(n, 4, product_with(a, n)), 1e-8);
}

TEST(Lanczos, FindsWhatIsLeftWhenTheFirstVectorsAreClosed) {
  const int64_t n = 30;  // three different values only: three vectors are closed under the operator
  std::vector<double> a(static_cast<std::size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) a[i * n + i] = i < 2 ? 3 : i < 10 ? 2 : 1;
  expect_eigen(a, n, largest_eigen(n, 5, product_with(a, n)), 1e-10);
  EXPECT_THROW(largest_eigen(n, n + 1, product_with(a, n)), Error);
}

TEST(Lanczos, GivesTheSameBitsAgain) {
  const int64_t n = 40;
  std::vector<double> a(static_cast<std::size_t>(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) a[i * n + j] = 1 / static_cast<double>(i + j + 1);
  EXPECT_EQ(largest_eigen(n, 3, product_with(a, n)).vectors, largest_eigen(n, 3, product_with(a, n)).vectors);
}

}  // namespace
}  // namespace crate
