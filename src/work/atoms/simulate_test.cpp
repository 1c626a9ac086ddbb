// Correlation, regression trees and the permuted null, on numbers made for them.
#include "work/atoms/simulate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "work/atoms/name.h"

namespace crate {
namespace {

TEST(Simulate, CorrelationIsPearsons) {
  const std::vector<float> a = {1, 2, 3, 4}, b = {2, 4, 6, 8}, c = {4, 3, 2, 1}, d = {1, -1, -1, 1},
                           flat = {5, 5, 5, 5};
  EXPECT_NEAR(correlation(a, b), 1, 1e-12);
  EXPECT_NEAR(correlation(a, c), -1, 1e-12);
  EXPECT_NEAR(correlation(a, d), 0, 1e-12);
  EXPECT_TRUE(std::isnan(correlation(a, flat)));
  EXPECT_TRUE(std::isnan(correlation(flat, a)));
}

// Examples whose feature f holds with chance 1 / 4, independently.
struct Made {
  explicit Made(int64_t n) {
    const Rng rng(3, Stream::test);
    for (int64_t i = 0; i < n; ++i) {
      for (int32_t f = 0; f < 8; ++f)
        if (rng.below(4, static_cast<uint64_t>(f), static_cast<uint64_t>(i)) == 0) list.ids.push_back(f);
      list.begin.push_back(static_cast<int32_t>(list.ids.size()));
    }
    for (int64_t i = 0; i < n; ++i) set.tokens.push_back({{}, list.of(i), 0});
    for (int64_t i = 40; i <= n; i += 40) set.begin.push_back(static_cast<std::size_t>(i));
  }
  bool holds(int64_t i, int32_t f) const {
    const auto of = list.of(i);
    return std::binary_search(of.begin(), of.end(), f);
  }
  FeatureList list;
  ExampleSet set;
};

TEST(Simulate, TreesFindConjunctions) {
  Made made(2000);
  std::vector<float> targets;
  for (int64_t i = 0; i < 2000; ++i) targets.push_back(made.holds(i, 2) && made.holds(i, 5) ? 3.0F : 0.0F);
  const Tree tree(made.set.tokens, targets, 8, 2), stump(made.set.tokens, targets, 8, 0);
  std::vector<float> predicted;
  for (const Example& e : made.set.tokens) predicted.push_back(tree.predict(e));
  EXPECT_GT(correlation(predicted, targets), 0.999);
  EXPECT_EQ(stump.nodes(), 1);
  EXPECT_EQ(Tree({}, {}, 8, 4).nodes(), 1);
}

TEST(Simulate, PermutationsTellLabelsFromChance) {
  Made made(800);
  std::vector<float> label, noise;
  const Rng rng(9, Stream::test);
  for (int64_t i = 0; i < 800; ++i) {
    label.push_back(made.holds(i, 1) ? 1.0F : 0.0F);
    made.set.tokens[static_cast<std::size_t>(i)].value =
        label.back() + static_cast<float>(rng.normal(1, static_cast<uint64_t>(i)));
  }
  EXPECT_EQ(permutation_p(made.set, label, {}, 1), 1.0 / 200);
  // Of labels without any relation about one in a hundred passes p <= 0.01.
  int passed = 0;
  for (int32_t f = 2; f < 8; ++f) {
    noise.clear();
    for (int64_t i = 0; i < 800; ++i) noise.push_back(made.holds(i, f) ? 1.0F : 0.0F);
    passed += permutation_p(made.set, noise, {}, static_cast<uint64_t>(f)) <= 0.01 ? 1 : 0;
  }
  EXPECT_LE(passed, 1);
  EXPECT_EQ(permutation_p(made.set, std::vector<float>(800, 1.0F), {}, 1), 1);
}

}  // namespace
}  // namespace crate
