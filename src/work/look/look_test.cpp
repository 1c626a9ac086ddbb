// Looking at models of images: maps where the authors' code has them, masks and scores as counted by hand, colours of
// planted components.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/rng.h"
#include "model/import.h"
#include "testing/reference.h"
#include "work/draw/letters.h"
#include "work/draw/picture.h"
#include "work/look/pictures.h"
#include "work/look/segment.h"

namespace crate {
namespace {

ModelConfig small_config(Family family) {
  ModelConfig c = config_of(family);
  c.dim = 12;
  c.heads = 3;
  c.layers = 2;
  c.image.height = c.image.width = 16;
  c.image.patch = 4;
  c.image.classes = is_autoencoder(family) ? 0 : 5;
  return c;
}

Image noise(int height, int width) {
  const Rng rng(9, Stream::test);
  Image out(height, width, 3);
  for (std::size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = static_cast<uint8_t>(rng.below(256, 0, i));
  return out;
}

TEST(View, KeepsProportionsInWholePatches) {
  const ModelConfig c = small_config(Family::crate);
  const ModelInput usual = input_for(c, noise(40, 60), 0);
  EXPECT_EQ(usual.rows, 4);
  EXPECT_EQ(usual.columns, 6);
  EXPECT_EQ(usual.image.width, 24);
  const ModelInput large = input_for(c, noise(40, 60), 41);
  EXPECT_EQ(large.rows, 10);
  EXPECT_EQ(large.columns, 15);
  EXPECT_EQ(large.numbers.size(), 3u * 40 * 60);
  EXPECT_THROW(input_for(c, noise(40, 60), 3), Error);
}

TEST(View, AttentionIsTheAuthors) {
  const std::string path = CRATE_SOURCE_DIR "/../shared/fixtures/attention_maps_s.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  Device device{{.kind = DeviceKind::ref}};
  const auto model = as_vision_model(import_model(device, Family::crate, read_official(path)), path);
  const SafetensorsFile file = read_safetensors(path);
  const std::vector<double> images = file.tensors.at("in/images").to_f64();
  ModelInput input{Image(24, 24, 3), 3, 3, {}};
  const std::size_t one = 3 * 24 * 24;
  for (std::size_t b = 0; b < 2; ++b) {
    input.numbers.assign(images.begin() + b * one, images.begin() + (b + 1) * one);
    const AttentionMaps maps = attention_of(*model, input);
    ASSERT_EQ(maps.layers, 3);
    for (int64_t l = 0; l < 3; ++l) {
      const std::vector<double> all = file.tensors.at(fmt::format("cls_map/{}", l)).to_f64();  // (batch, heads, 3, 3)
      const std::vector<double> want(all.begin() + b * 36, all.begin() + (b + 1) * 36);
      EXPECT_LT(relative_error({maps.map(l, 0), maps.map(l, 0) + 36}, want), 1e-10) << l;
    }
  }
}

TEST(View, AtAnotherSizeMapsAndProjectionsBelongToTheirPatches) {
  for (const Family family : {Family::crate, Family::crate_alpha, Family::vit, Family::crate_mae}) {
    Device device{{.kind = DeviceKind::ref}};
    const auto made = make_model(device, small_config(family));
    Model& model = *made;
    model.init(3);
    const ModelInput input = input_for(model.config(), noise(20, 32), 20);
    RecordingTap kept;
    crate::Run run(device, {.tap = &kept});
    std::vector<float> numbers = input.numbers;
    tokens_of_images(model, run, {numbers.data(), {1, 3, 20, 32}, Dtype::f32});
    const std::string half = is_white_box(family) ? "blocks.1.mssa." : "blocks.1.mha.";
    const AttentionMaps maps = attention_of(model, input);
    const int64_t n = 1 + 5 * 8;
    ASSERT_EQ(maps.rows * maps.columns, n - 1);
    for (int64_t j = 0; j + 1 < n; ++j)
      EXPECT_NEAR(maps.map(1, 2)[j], kept.values.at(half + "pattern")[(2 * n + 0) * n + 1 + j], 1e-12);
    const PatchFeatures f = projections_of(model, input, 1);
    const std::vector<double>& coords = kept.values.at(half + "coords");
    const int64_t width = is_white_box(family) ? 12 : 36, begin = is_white_box(family) ? 0 : 12;
    ASSERT_EQ(f.width, 12);
    for (int64_t i = 0; i < f.patches(); ++i)
      for (int64_t j = 0; j < 12; ++j) EXPECT_NEAR(f.values[i * 12 + j], coords[(1 + i) * width + begin + j], 1e-12);
    EXPECT_THROW(projections_of(model, input, 2), Error);
    const SegmentOptions by_attention{.method = "attention", .layer = 1, .size = 20};
    EXPECT_EQ(segment(model, noise(20, 32), by_attention).masks.size(), 3u);
  }
}

TEST(Segment, MasksOfMassAndScoresAreCounted) {
  const std::vector<double> map = {0.1, 0.5, 0.1, 0.3};
  EXPECT_EQ(mass_mask(map.data(), 4, 0.6), (PatchMask{0, 1, 0, 1}));
  EXPECT_EQ(mass_mask(map.data(), 4, 0.5), (PatchMask{0, 1, 0, 0}));
  // A grid of 2 x 2 over 4 x 4 pixels; the true object is the right half, two of its pixels not counted.
  Image truth(4, 4, 1);
  for (int y = 0; y < 4; ++y) *truth.at(y, 2) = *truth.at(y, 3) = 7;
  *truth.at(0, 3) = *truth.at(1, 3) = 255;
  const SegmentScore exact = score({2, 2, {{0, 1, 0, 1}}}, truth);
  EXPECT_DOUBLE_EQ(exact.foreground, 1);
  EXPECT_DOUBLE_EQ(exact.best, 1);
  EXPECT_EQ(exact.truths, 1);
  const SegmentScore parts = score({2, 2, {{1, 0, 0, 0}, {0, 0, 0, 1}}}, truth);
  EXPECT_DOUBLE_EQ(parts.foreground, 4.0 / 10);
  EXPECT_DOUBLE_EQ(parts.best, 4.0 / 6);
  EXPECT_DOUBLE_EQ(score({2, 2, {}}, truth).best, 0);
  EXPECT_THROW(score({2, 2, {}}, Image(4, 4, 1)), Error);
  const Image mask = mask_image({2, 2, {{0, 1, 0, 0}, {0, 1, 1, 0}}}, 4, 6);
  EXPECT_EQ(*mask.at(1, 2), 0);
  EXPECT_EQ(*mask.at(1, 3), 1);  // the earlier object stays
  EXPECT_EQ(*mask.at(2, 0), 2);
}

// Patches in the plane of two directions beside the mean, far and near.
TEST(Components, ArePlantedDirections) {
  const Rng rng(2, Stream::test);
  const int64_t n = 400, width = 7;
  std::vector<double> rows, first;
  for (int64_t i = 0; i < n; ++i) {
    const double a = 5 * rng.normal(0, static_cast<uint64_t>(i)), b = rng.normal(1, static_cast<uint64_t>(i));
    first.push_back(a);
    for (int64_t j = 0; j < width; ++j) rows.push_back(10 + (j == 2 ? a : 0) + (j == 5 ? b : 0));
  }
  const std::vector<double> x = principal_coordinates(rows, width, 2);
  double mean = 0;
  for (const double a : first) mean += a / static_cast<double>(n);
  double along = 0, length = 0;
  for (int64_t i = 0; i < n; ++i) {
    along += x[2 * i] * (first[i] - mean);
    length += (first[i] - mean) * (first[i] - mean);
  }
  EXPECT_NEAR(std::abs(along) / length, 1, 1e-2);  // a and b of a sample are not quite orthogonal
}

TEST(Components, ForegroundIsWhatKeepsFromTheBorders) {
  PatchFeatures f{6, 6, 4, {}};
  const Rng rng(3, Stream::test);
  for (int64_t i = 0; i < 36; ++i) {
    const bool inside = i / 6 >= 2 && i / 6 < 5 && i % 6 >= 1 && i % 6 < 4;
    for (int64_t j = 0; j < 4; ++j)
      f.values.push_back((inside ? 4 : -4) + rng.normal(0, static_cast<uint64_t>(4 * i + j)));
  }
  const std::vector<PatchColours> c = colours_by_components({f, f}, true);
  ASSERT_EQ(c.size(), 2u);
  for (int64_t i = 0; i < 36; ++i) {
    EXPECT_EQ(c[0].foreground[i] == 1, i / 6 >= 2 && i / 6 < 5 && i % 6 >= 1 && i % 6 < 4);
    EXPECT_EQ(c[0].rgb[i], c[1].rgb[i]);
    for (const double v : c[0].rgb[i]) EXPECT_TRUE(v >= 0 && v <= 1);
  }
  PatchFeatures same{4, 4, 2, std::vector<double>(32, 1.0)};
  EXPECT_THROW(colours_by_components({same}, false), Error);
}

TEST(Pictures, HeatStandsWhereTheMapIsLarge) {
  std::vector<double> map(12, 0.1);
  map[7] = 0.9;  // row 1, column 3 of 3 x 4
  const Image picture = with_heat(Image(30, 40, 3), map.data(), 3, 4);
  int best_y = 0, best_x = 0, best = -1;
  for (int y = 0; y < 30; ++y) {
    for (int x = 0; x < 40; ++x) {
      const int sum = picture.at(y, x)[0] + picture.at(y, x)[1] + picture.at(y, x)[2];
      if (sum > best) best = sum, best_y = y, best_x = x;
    }
  }
  EXPECT_EQ(best_y / 10, 1);
  EXPECT_EQ(best_x / 10, 3);
  EXPECT_DOUBLE_EQ(value_at(map.data(), 3, 4, 0.5, 0.875), 0.9);
  EXPECT_DOUBLE_EQ(value_at(map.data(), 3, 4, 0.5, 1), 0.9);
  EXPECT_NEAR(value_at(map.data(), 3, 4, 0.5, 0.75), 0.5, 1e-12);
}

TEST(Pictures, SheetsHoldEveryCellAndLabels) {
  Image red(20, 30, 3), blue(20, 30, 3);
  for (std::size_t i = 0; i < red.pixels.size(); i += 3) red.pixels[i] = blue.pixels[i + 2] = 200;
  const Image sheet = sheet_of({{"a"}, {"b", "c"}, {red, blue}});
  int64_t reds = 0, blues = 0, blacks = 0;
  for (int y = 0; y < sheet.height; ++y) {
    for (int x = 0; x < sheet.width; ++x) {
      const uint8_t* p = sheet.at(y, x);
      reds += p[0] == 200 && p[1] == 0 ? 1 : 0;
      blues += p[2] == 200 && p[1] == 0 ? 1 : 0;
      blacks += p[0] == 0 && p[1] == 0 && p[2] == 0 ? 1 : 0;
    }
  }
  EXPECT_EQ(reds, 600);
  EXPECT_EQ(blues, 600);
  EXPECT_GT(blacks, 3 * 4 * 10);  // three letters of at least ten dots, drawn twice as large
  EXPECT_THROW(sheet_of({{"a"}, {"b"}, {red, blue}}), Error);
  Image small(3, 3, 3);
  write_text(small, -2, -2, "Wide text, cut on every side", {255, 255, 255});
  Image mask(20, 30, 1);
  *mask.at(4, 4) = 1;
  EXPECT_NE(with_objects(red, mask).at(4, 4)[1], 0);
  EXPECT_EQ(with_objects(red, mask).at(5, 5)[1], 0);
}

}  // namespace
}  // namespace crate
