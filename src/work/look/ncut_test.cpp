// The normalised cut against its definition, and on planted similarities whose objects are known.
#include "work/look/ncut.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/lanczos.h"
#include "base/rng.h"

namespace crate {
namespace {

// Patches of one kind have one direction, with noise; kinds are orthogonal.
PatchFeatures planted(int64_t rows, int64_t columns, double noise, const std::function<int(int64_t, int64_t)>& kind) {
  const Rng rng(6, Stream::test);
  PatchFeatures f{rows, columns, 8, {}};
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t j = 0; j < f.width; ++j)
        f.values.push_back((kind(r, c) == j ? 3 : 0) + noise * rng.normal(0, f.values.size()));
    }
  }
  return f;
}

PatchMask where(const PatchFeatures& f, const std::function<bool(int64_t, int64_t)>& inside) {
  PatchMask out;
  for (int64_t i = 0; i < f.patches(); ++i) out.push_back(inside(i / f.columns, i % f.columns) ? 1 : 0);
  return out;
}

TEST(Ncut, IsTheSecondSmallestGeneralisedEigenvector) {
  const int64_t n = 25;
  const Rng rng(1, Stream::test);
  std::vector<double> w(static_cast<std::size_t>(n * n)), scaled(w.size()), degree(static_cast<std::size_t>(n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j)
      w[i * n + j] = w[j * n + i] = 0.01 + rng.uniform(0, static_cast<uint64_t>(i * n + j));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) degree[i] += w[i * n + j];
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) scaled[i * n + j] = w[i * n + j] / std::sqrt(degree[i] * degree[j]);
  const NormalisedCut cut = normalised_cut(w, n);
  EXPECT_NEAR(cut.mu, 1 - symmetric_eigen(scaled, n).values[1], 1e-9);
  for (int64_t i = 0; i < n; ++i)
    EXPECT_NEAR(degree[i] * cut.x[i] - dot(&w[i * n], cut.x.data(), n), cut.mu * degree[i] * cut.x[i], 1e-8);
}

TEST(Ncut, RecoversPlantedObjectsExactly) {
  const auto first = [](int64_t r, int64_t c) { return r >= 1 && r < 6 && c >= 2 && c < 7; };
  const auto second = [](int64_t r, int64_t c) { return r >= 5 && r < 9 && c >= 8 && c < 12; };
  const PatchFeatures f = planted(10, 13, 0.3, [&](int64_t r, int64_t c) {
    return first(r, c) ? 1 : second(r, c) ? 2 : 0;
  });
  const std::vector<PatchMask> found = find_objects(f, {.objects = 5, .tau = 0.5});
  ASSERT_GE(found.size(), 2u);
  const bool in_order = found[0] == where(f, first);
  EXPECT_TRUE(found[in_order ? 0 : 1] == where(f, first));
  EXPECT_TRUE(found[in_order ? 1 : 0] == where(f, second));
  EXPECT_EQ(found.size(), 2u);  // what is left is all alike
  EXPECT_TRUE(find_objects(f, {.objects = 5, .tau = 0.5}) == found);
}

TEST(Ncut, TakesOneConnectedPartAtATime) {
  const auto left = [](int64_t r, int64_t c) { return r >= 2 && r < 5 && c >= 1 && c < 3; };
  const auto right = [](int64_t r, int64_t c) { return r >= 2 && r < 5 && c >= 5 && c < 7; };
  const PatchFeatures f = planted(8, 9, 0, [&](int64_t r, int64_t c) { return left(r, c) || right(r, c) ? 1 : 0; });
  const std::vector<PatchMask> found = find_objects(f, {.objects = 3, .tau = 0.2});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[0] == where(f, left));
  EXPECT_TRUE(found[1] == where(f, right));
}

TEST(Ncut, FindsNothingWhereAllIsAlike) {
  EXPECT_TRUE(find_objects(planted(5, 5, 0, [](int64_t, int64_t) { return 1; }), {}).empty());
  EXPECT_TRUE(find_objects(planted(1, 1, 0, [](int64_t, int64_t) { return 1; }), {}).empty());
  EXPECT_THROW(find_objects(planted(5, 5, 0, [](int64_t, int64_t) { return 1; }), {.objects = 0}), Error);
  EXPECT_THROW(find_objects(planted(5, 5, 0, [](int64_t, int64_t) { return 1; }), {.tau = 1.5}), Error);
}

}  // namespace
}  // namespace crate
