// What the cases of the operators on images cannot say: inverses, exact special cases, errors.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "ops/class_loss.h"
#include "ops/cross_entropy.h"
#include "ops/patch_loss.h"
#include "ops/patches.h"
#include "ops/pick_tokens.h"
#include "ops/pool_tokens.h"
#include "ops/resample_positions.h"
#include "testing/folder.h"
#include "testing/reference.h"

namespace crate {
namespace {

Tensor random(crate::Run& run, Shape shape, uint64_t which = 1) {
  const Tensor t = run.make(shape);
  const Rng rng(4, Stream::test);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.as<float>()[i] = static_cast<float>(rng.normal(which, static_cast<uint64_t>(i)));
  return t;
}

TEST(Patches, GoThereAndBack) {
  Device device({.guard = true});
  for (const PatchOrder order : {PatchOrder::row_column_channel, PatchOrder::channel_row_column}) {
    crate::Run run(device);
    const Tensor images = random(run, {2, 3, 6, 8});
    const PatchArgs args{.rows = 3, .columns = 2, .order = order};
    const Tensor rows = patches(run, images, args);
    EXPECT_EQ(rows.shape, Shape({2, 8, 18}));
    EXPECT_EQ(numbers_of(unpatches(run, rows, 3, 6, 8, args)), numbers_of(images));
    // Patch 5 of the second image: row 1, column 1 of the grid; its pixel (2, 1) of channel 2.
    const int64_t inside = order == PatchOrder::row_column_channel ? (2 * 2 + 1) * 3 + 2 : (2 * 3 + 2) * 2 + 1;
    EXPECT_EQ(rows.as<float>()[(8 + 5) * 18 + inside], images.as<float>()[((3 + 2) * 6 + 5) * 8 + 3]);
  }
}

TEST(Patches, RefuseWhatDoesNotDivide) {
  Device device;
  crate::Run run(device);
  EXPECT_NE(message_of([&] {
              patches(run, run.constant({1, 3, 7, 8}, 0), {.rows = 2, .columns = 2});
            }).find("7 x 8 are no whole number of patches of 2 x 2"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              patches(run, run.constant({3, 8, 8}, 0), {.rows = 2, .columns = 2});
            }).find("must be (b,"),
            std::string::npos);
}

// Weights add up to one; straight lines stay straight where the borders are far; the same grid is the same table.
TEST(ResamplePositions, KeepsConstantsLinesAndEqualGrids) {
  for (const auto& [from, to] : {std::pair{7, 16}, std::pair{14, 9}, std::pair{5, 5}}) {
    const std::vector<Taps> taps = cubic_taps(from, to);
    for (int o = 0; o < to; ++o) {
      const Taps& t = taps[static_cast<std::size_t>(o)];
      double sum = 0, line = 0;
      bool inside = true;
      const double s = (o + 0.5) * from / to - 0.5;
      for (std::size_t k = 0; k < 4; ++k) {
        sum += t.weight[k];
        line += t.weight[k] * static_cast<double>(t.at[k]);
        inside = inside && t.at[k] == static_cast<int64_t>(std::floor(s)) + static_cast<int64_t>(k) - 1;
      }
      EXPECT_NEAR(sum, 1, 1e-15);
      if (from == to) {
        EXPECT_EQ(t.weight[1], 1);
      }
      // a = -3/4 bends lines a little between places, as PyTorch's cubic does, but not in the middle.
      if (inside && std::abs(s - std::floor(s) - 0.5) < 1e-12) {
        EXPECT_NEAR(line, s, 1e-12);
      }
    }
  }
  Device device;
  crate::Run run(device);
  const Tensor table = random(run, {13, 5});
  EXPECT_EQ(numbers_of(resample_positions(run, table, {.from = {3, 4}, .to = {3, 4}, .before = 1})), numbers_of(table));
  EXPECT_NE(message_of([&] {
              resample_positions(run, table, {.from = {3, 3}, .to = {3, 4}});
            }).find("expected (9, d)"),
            std::string::npos);
}

// Half way between two places of a row: (-0.09375, 0.59375, 0.59375, -0.09375) for a = -3/4.
TEST(ResamplePositions, HasThePublishedWeights) {
  const Taps middle = cubic_taps(8, 4)[1];  // place 1 of 4 stands at 2.5 of 8
  EXPECT_EQ(middle.at, (std::array<int64_t, 4>{1, 2, 3, 4}));
  for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(middle.weight[k], k == 0 || k == 3 ? -0.09375 : 0.59375, 1e-15);
}

// With hard targets it is the cross-entropy of the models of text, whose head is then the identity.
TEST(ClassLoss, IsTheCrossEntropyOfHardTargets) {
  Device device;
  crate::Run run(device);
  constexpr int64_t n = 7;
  const Tensor logits = random(run, {3, n}), eye = run.constant({n, n}, 0), soft = run.constant({3, n}, 0);
  const Tensor hard = run.make({3}, Dtype::i32);
  for (int64_t i = 0; i < n; ++i) eye.as<float>()[i * n + i] = 1;
  for (int64_t i = 0; i < 3; ++i) {
    hard.as<int32_t>()[i] = static_cast<int32_t>(2 * i);
    soft.as<float>()[i * n + 2 * i] = 1;
  }
  EXPECT_NEAR(*class_loss(run, logits, {.targets = soft}).loss.as<float>(),
              *cross_entropy(run, logits, {.head = eye, .targets = hard}).loss.as<float>(), 1e-6);
  EXPECT_NE(message_of([&] { class_loss(run, logits, {.targets = eye}); }).find("targets must be (3, 7)"),
            std::string::npos);
}

TEST(PickTokens, NameTheIndexOutOfRange) {
  Device device;
  crate::Run run(device);
  const Tensor x = random(run, {1, 3, 4}), index = run.make({1, 2}, Dtype::i32);
  index.as<int32_t>()[0] = 0;
  for (const int32_t wrong : {-1, 3}) {
    index.as<int32_t>()[1] = wrong;
    EXPECT_NE(message_of([&] { pick_tokens(run, x, {.index = index}); }).find("at place 1 lies outside [0, 3)"),
              std::string::npos);
  }
}

TEST(PatchLoss, NeedsAMask) {
  Device device;
  crate::Run run(device);
  const Tensor x = random(run, {1, 3, 4});
  const auto loss = [&] { patch_loss(run, x, {.target = x, .mask = run.constant({1, 3}, 0)}); };
  EXPECT_NE(message_of(loss).find("no patch is masked"), std::string::npos);
}

TEST(PoolTokens, NeedSomethingToRead) {
  Device device;
  crate::Run run(device);
  const auto pool = [&] { pool_tokens(run, random(run, {1, 2, 4}), {.from = 2}); };
  EXPECT_NE(message_of(pool).find("cannot read tokens 2..2 of 2"), std::string::npos);
}

}  // namespace
}  // namespace crate
