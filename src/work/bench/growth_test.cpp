// Growth: the fit on laws that are known, sizes that keep what they should, and a tiny measurement.
#include "work/bench/growth.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "model/presets.h"

namespace crate {
namespace {

TEST(Growth, OneSizeGrowsAndTheRestStays) {
  const ModelConfig one = preset("crate-one-tiny");
  const ModelConfig wide = grown(one, GrowingSize::width, 256);
  EXPECT_EQ(wide.head_dim(), one.head_dim());
  EXPECT_EQ(wide.heads, 2 * one.heads);
  EXPECT_EQ(wide.atoms, 2 * one.atoms);
  EXPECT_EQ(grown(one, GrowingSize::tokens, 512).context, 512);
  EXPECT_EQ(grown(one, GrowingSize::depth, 7).layers, 7);
  EXPECT_EQ(grown(one, GrowingSize::vocab, 999).vocab, 999);
  EXPECT_EQ(grown(one, GrowingSize::atoms, 64).n_atoms(), 64);
  EXPECT_EQ(grown(preset("vit-s"), GrowingSize::tokens, 400).image.patches(), 400);
  EXPECT_EQ(growing_size(name_of(GrowingSize::depth)), GrowingSize::depth);
  EXPECT_THROW(growing_size("length"), Error);
  EXPECT_THROW(grown(one, GrowingSize::width, 100), Error);
  EXPECT_THROW(grown(preset("crate-gpt-tiny"), GrowingSize::atoms, 64), Error);
  EXPECT_THROW(grown(preset("vit-s"), GrowingSize::vocab, 64), Error);
  EXPECT_THROW(grown(preset("vit-s"), GrowingSize::tokens, 50), Error);
}

TEST(Growth, TheUsualSizesFitEveryModel) {
  for (const char* name : {"crate-lm-bench", "crate-gpt-bench", "gpt2-bench", "crate-one-bench", "crate-s", "vit-s"}) {
    const ModelConfig c = preset(name);
    for (const GrowingSize size : {GrowingSize::tokens, GrowingSize::width, GrowingSize::depth}) {
      const std::vector<int64_t> values = usual_sizes(size, c);
      EXPECT_GE(values.size(), 3u) << name << " " << name_of(size);
      for (const int64_t value : values) EXPECT_NO_THROW(grown(c, size, value)) << name << " " << name_of(size);
    }
  }
  EXPECT_EQ(usual_sizes(GrowingSize::width, preset("gpt2-bench")),
            (std::vector<int64_t>{128, 256, 384, 512, 768, 1024}));
}

TEST(Growth, MeasuresTextAndImages) {
  for (const char* name : {"crate-lm-tiny", "crate-mnist"}) {
    std::vector<int64_t> heard;
    const auto points =
        measure_growth(preset(name), {}, {.size = GrowingSize::batch, .values = {1, 2, 4}, .repeats = 1, .rounds = 1},
                       [&](int, int64_t value) { heard.push_back(value); });
    EXPECT_EQ(heard, (std::vector<int64_t>{1, 2, 4}));
    ASSERT_EQ(points.size(), 3u);
    for (const GrowthPoint& p : points) {
      EXPECT_EQ(p.batch, p.value);
      EXPECT_GT(p.train.ms, 0);
      EXPECT_GT(p.forward.ms, 0);
      EXPECT_GT(p.memory.state_bytes, 0);
      EXPECT_GT(p.memory.peak_bytes, p.memory.state_bytes);
    }
    EXPECT_GT(points[2].memory.peak_bytes, points[0].memory.peak_bytes);
    EXPECT_EQ(curves_of(points).size(), 3u);
  }
}

TEST(Growth, ATokenReadsMoreTheMoreCodesAreNotZero) {
  const auto points = measure_growth(preset("crate-one-tiny"), {},
                                     {.size = GrowingSize::codes, .values = {5, 20, 80}, .repeats = 1, .rounds = 1});
  for (const GrowthPoint& p : points) {
    EXPECT_EQ(p.batch, 1);
    EXPECT_GT(p.decode.step.ms, 0);
    EXPECT_NEAR(p.decode.codes, 0.01 * static_cast<double>(p.value), 0.1);
  }
  EXPECT_LT(points[0].decode.bytes, points[1].decode.bytes);
  EXPECT_LT(points[1].decode.bytes, points[2].decode.bytes);
  const std::vector<GrowthCurve> curves = curves_of(points);
  ASSERT_EQ(curves.size(), 2u);
  EXPECT_GT(curves[1].law.exponent, 0);
  EXPECT_THROW(grown(preset("crate-one-tiny"), GrowingSize::codes, 101), Error);
}

}  // namespace
}  // namespace crate
