// What training and evaluation do to an image, against values worked out by hand or, where named, given by PIL 9.4.
#include "work/image/augment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "testing/folder.h"
#include "work/image/colour.h"
#include "work/image/mix.h"
#include "work/image/randaugment.h"

namespace crate {
namespace {

using Pixels = std::vector<uint8_t>;

Image image_of(int height, int width, int channels, Pixels pixels) {
  Image image(height, width, channels);
  image.pixels = std::move(pixels);
  return image;
}

TEST(Resample, BilinearWidensItsFilterWhenItShrinks) {
  // Step 2: the weights of pixels 0, 1, 2 for the first output are 3/4, 3/4, 1/4 over their sum 7/4.
  const Image image = image_of(1, 4, 1, {0, 70, 140, 210});
  EXPECT_EQ(resize(image, 1, 2, Filter::bilinear).pixels, (Pixels{50, 160}));
  EXPECT_EQ(resize(image_of(4, 1, 1, {0, 70, 140, 210}), 2, 1, Filter::bilinear).pixels, (Pixels{50, 160}));
}

TEST(Resample, BilinearAndBicubicBetweenPixels) {
  EXPECT_EQ(resize(image_of(1, 2, 1, {0, 100}), 1, 4, Filter::bilinear).pixels, (Pixels{0, 25, 75, 100}));
  // First output: centre 1/4, weights 0.8671875 and -0.0703125 over their sum: (43.36 - 10.55) / 0.796875 = 41.2.
  EXPECT_EQ(resize(image_of(1, 2, 1, {50, 150}), 1, 4, Filter::bicubic).pixels, (Pixels{41, 71, 129, 159}));
}

TEST(Resample, GivesPilsBytes) {
  const Image image =
      image_of(5, 7, 1, {68, 32,  130, 60, 253, 230, 241, 194, 107, 48, 249, 14,  199, 221, 1,   228, 136, 117,
                         52, 162, 15,  11, 13,  4,   195, 110, 216, 14, 113, 224, 253, 119, 176, 118, 112});
  EXPECT_EQ(resize(image, 3, 4, Filter::bilinear).pixels,
            (Pixels{96, 102, 161, 222, 94, 122, 112, 113, 101, 145, 151, 112}));
  const Image larger = resize(image, 9, 11, Filter::bicubic);
  EXPECT_EQ(
      Pixels(larger.pixels.begin(), larger.pixels.begin() + 22),
      (Pixels{60, 39, 32, 117, 105, 45, 196, 255, 236, 236, 244, 113, 81, 50, 89, 110, 117, 161, 194, 220, 236, 244}));
  EXPECT_EQ(larger.pixels.back(), 121);
}

TEST(Resample, APartIsScaledAsIfCutOutFirst) {
  Image image(9, 12, 3);
  std::iota(image.pixels.begin(), image.pixels.end(), uint8_t{0});
  const Box box{2, 3, 6, 7};
  EXPECT_EQ(resize(image, box, 4, 5, Filter::bicubic), resize(crop(image, box), 4, 5, Filter::bicubic));
  EXPECT_EQ(resize(image, 9, 12, Filter::bilinear), image);
  EXPECT_NE(message_of([&] {
              resize(image, {5, 0, 5, 12}, 4, 4, Filter::bilinear);
            }).find("outside"),
            std::string::npos);
}

TEST(Crop, TheMiddleAndBeyondTheBorder) {
  const Image image = image_of(2, 3, 1, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(centre_crop(image, 2, 2).pixels, (Pixels{1, 2, 4, 5}));  // 0.5 is rounded to even, 0
  EXPECT_EQ(centre_crop(image, 2, 5).pixels, (Pixels{0, 1, 2, 3, 0, 0, 4, 5, 6, 0}));
  EXPECT_EQ(crop(image, {-1, 2, 2, 2}).pixels, (Pixels{0, 0, 3, 0}));
  EXPECT_EQ(crop(image, {0, 7, 1, 2}).pixels, (Pixels{0, 0}));
  Image flipped = image_of(1, 2, 3, {1, 2, 3, 4, 5, 6});
  flip_horizontally(flipped);
  EXPECT_EQ(flipped.pixels, (Pixels{4, 5, 6, 1, 2, 3}));
}

TEST(Evaluation, ShortSideThenMiddle) {
  // 500 x 375: the short side becomes 256, the long one 256 * 500 / 375 = 341.33, its fraction dropped.
  const Image image(375, 500, 3);
  const Image scaled = resize_short(image, 256, Filter::bilinear);
  EXPECT_EQ(scaled.height, 256);
  EXPECT_EQ(scaled.width, 341);
  const Image out = transformed(image, {});
  EXPECT_EQ(out.height, 224);
  EXPECT_EQ(out.width, 224);
  Image small(32, 32, 1);
  std::iota(small.pixels.begin(), small.pixels.end(), uint8_t{0});
  EXPECT_EQ(transformed(small, {.resize = 0, .height = 32, .width = 32}), small);
  const Image wide = transformed(image, {.resize = 0, .height = 64, .width = 128});
  EXPECT_EQ(wide.height, 64);
  EXPECT_EQ(wide.width, 128);
}

TEST(Normalise, PlanesAndBack) {
  const Image image = image_of(1, 2, 3, {0, 51, 255, 10, 20, 30});
  std::vector<float> numbers(6);
  normalise(image, {}, numbers.data());
  EXPECT_FLOAT_EQ(numbers[0], (0.0F - 0.485F) / 0.229F);
  EXPECT_FLOAT_EQ(numbers[1], (10.0F / 255 - 0.485F) / 0.229F);
  EXPECT_FLOAT_EQ(numbers[2], (0.2F - 0.456F) / 0.224F);
  EXPECT_FLOAT_EQ(numbers[4], (1.0F - 0.406F) / 0.225F);
  EXPECT_EQ(denormalised(numbers.data(), 1, 2, {}), image);
}

const Image nine = image_of(3, 3, 3, {10,  200, 30,  250, 4,  100, 128, 128, 128, 0,  0,  0,  255, 255,
                                      255, 77,  180, 60,  33, 66,  99,  200, 199, 10, 90, 20, 220});

template <class F> Pixels changed(F&& f) {
  Image image = nine;
  f(image);
  return image.pixels;
}

TEST(Colour, BlendsGivePilsBytes) {
  EXPECT_EQ(changed([](Image& i) { brightness(i, 1.5); }),
            (Pixels{15,  255, 45,  255, 6,  150, 192, 192, 192, 0,  0,   0,  255, 255,
                    255, 115, 255, 90,  49, 99,  148, 255, 255, 15, 135, 30, 255}));
  EXPECT_EQ(changed([](Image& i) { contrast(i, 1.7); }),
            (Pixels{0,   255, 0,   255, 0, 89, 137, 137, 137, 0, 0,  0, 255, 255,
                    255, 50,  225, 21,  0, 31, 87,  255, 255, 0, 72, 0, 255}));
  EXPECT_EQ(changed([](Image& i) { saturation(i, 0.2); }),
            (Pixels{101, 139, 105, 120, 71, 90, 128, 128, 128, 0,   0,  0,  255, 255,
                    255, 124, 144, 120, 54, 61, 67,  182, 182, 144, 69, 55, 95}));
  EXPECT_EQ(changed([](Image& i) { sharpness(i, 0.1); }),
            (Pixels{10,  200, 30,  250, 4,  100, 128, 128, 128, 0,  0,  0,  168, 168,
                    158, 77,  180, 60,  33, 66,  99,  200, 199, 10, 90, 20, 220}));
}

TEST(Colour, HueGivesPilsBytes) {
  EXPECT_EQ(changed([](Image& i) { hue(i, 0.1); }),
            (Pixels{10,  200, 140, 250, 45, 5,  128, 128, 128, 0,  0,   0,  255, 255,
                    255, 60,  180, 111, 38, 33, 99,  91,  200, 10, 204, 21, 220}));
  EXPECT_EQ(changed([](Image& i) { hue(i, -0.3); }),
            (Pixels{200, 68,  10, 5,  51, 250, 128, 128, 128, 0,   0,  0,   255, 255,
                    255, 180, 66, 60, 53, 99,  33,  200, 10,  158, 21, 220, 129}));
}

TEST(Colour, LevelsAlone) {
  Image image = image_of(1, 4, 1, {50, 100, 150, 250});
  posterise(image, 3);
  EXPECT_EQ(image.pixels, (Pixels{32, 96, 128, 224}));
  image.pixels = {50, 127, 128, 250};
  solarise(image, 128);
  EXPECT_EQ(image.pixels, (Pixels{50, 127, 127, 5}));
  image.pixels = {50, 100, 150, 250};
  stretch_contrast(image);
  EXPECT_EQ(image.pixels, (Pixels{0, 63, 127, 255}));  // (v - 50) * 255 / 200, cut
}

TEST(Colour, EqualisedLevelsAreAboutEquallyFrequent) {
  Image image(64, 64, 1);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(image.pixels.size());
    image.pixels[i] = static_cast<uint8_t>(60 * t * t + 100);  // crowded at the dark end
  }
  equalise(image);
  std::array<int, 4> quarter{};
  for (const uint8_t v : image.pixels) ++quarter[v / 64u];
  for (const int n : quarter) EXPECT_NEAR(n, 1024, 220);
}

TEST(Colour, BlurKeepsTheMeanAndSpreadsByItsSigma) {
  Image image(41, 41, 1);
  image.at(20, 20)[0] = 255;
  for (int d = -1; d <= 1; ++d) image.at(20 + d, 21)[0] = image.at(20 + d, 19)[0] = 255;
  Image flat = image_of(3, 3, 1, Pixels(9, 77));
  gaussian_blur(flat, 1.3);
  EXPECT_EQ(flat.pixels, Pixels(9, 77));
  const Image sharp = image;
  gaussian_blur(image, 2);
  EXPECT_LT(image.at(20, 20)[0], 80);
  EXPECT_GT(image.at(20, 24)[0], 3);
  EXPECT_EQ(image.at(0, 0)[0], 0);
}

TEST(Warp, MovesTheWayItSays) {
  const Image image = image_of(1, 4, 1, {1, 2, 3, 4});
  EXPECT_EQ(warp(image, 1, 0, 1, 0, 1, 0).pixels, (Pixels{2, 3, 4, 0}));
  const Image square = image_of(2, 2, 1, {1, 2, 3, 4});
  EXPECT_EQ(warp(square, 0, -1, 2, 1, 0, 0).pixels, (Pixels{2, 4, 1, 3}));  // a quarter turn
}

TEST(RandAugment, EveryChangeAtEveryStrengthKeepsTheShape) {
  for (int m = 0; m <= 30; m += 6) {
    for (uint64_t item = 0; item < 60; ++item) {
      Image image = nine;
      Draws draws(1, Stream::augment, 0, item);
      randaugment(image, 2, m, draws);
      EXPECT_EQ(image.pixels.size(), nine.pixels.size());
    }
  }
}

TEST(RandomPart, HasTheAreasAndProportionsAskedFor) {
  const AugmentOptions options;
  double least = 1, most = 0;
  for (uint64_t item = 0; item < 500; ++item) {
    Draws draws(3, Stream::augment, 0, item);
    const Box box = random_part(300, 400, options, draws);
    ASSERT_GE(box.top, 0);
    ASSERT_GE(box.left, 0);
    ASSERT_LE(box.top + box.height, 300);
    ASSERT_LE(box.left + box.width, 400);
    const double area = box.height * box.width / 120000.0, ratio = static_cast<double>(box.width) / box.height;
    EXPECT_GT(ratio, 0.73);
    EXPECT_LT(ratio, 1.37);
    least = std::min(least, area);
    most = std::max(most, area);
  }
  EXPECT_NEAR(least, 0.08, 0.01);
  EXPECT_GT(most, 0.85);
  Draws draws(3, Stream::augment, 0, 0);
  EXPECT_EQ(random_part(10, 400, options, draws), (Box{0, 193, 10, 13}));  // too long for any: the middle, 4 : 3
}

TEST(Augmented, DependsOnItsAddressAlone) {
  Image image(40, 50, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 7);
  const AugmentOptions options{.height = 24,
                               .width = 32,
                               .randaugment = 2,
                               .jitter = 0.8,
                               .brightness = 0.4,
                               .contrast = 0.4,
                               .saturation = 0.4,
                               .hue = 0.1,
                               .grey = 0.2,
                               .blur = 0.5,
                               .solarise = 0.2};
  const auto at = [&](uint64_t epoch, uint64_t item, uint64_t view) {
    Draws draws(5, Stream::augment, epoch, item, view);
    return augmented(image, options, draws);
  };
  EXPECT_EQ(at(1, 2, 0), at(1, 2, 0));
  EXPECT_NE(at(1, 2, 0), at(2, 2, 0));
  EXPECT_NE(at(1, 2, 0), at(1, 3, 0));
  EXPECT_NE(at(1, 2, 0), at(1, 2, 1));
  EXPECT_EQ(at(1, 2, 0).width, 32);
}

TEST(Augmented, PaddedCropsShiftByAtMostThePadding) {
  Image image(8, 8, 1);
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x) image.at(y, x)[0] = static_cast<uint8_t>(1 + 8 * y + x);
  const AugmentOptions options{.height = 8, .width = 8, .crop = "padded", .padding = 2, .flip = 0};
  std::array<int, 25> seen{};
  for (uint64_t item = 0; item < 300; ++item) {
    Draws draws(1, Stream::augment, 0, item);
    const int middle = augmented(image, options, draws).at(4, 4)[0] - 1;
    const int down = middle / 8 - 4, right = middle % 8 - 4;
    ASSERT_LE(std::max(std::abs(down), std::abs(right)), 2);
    ++seen[static_cast<std::size_t>((down + 2) * 5 + right + 2)];
  }
  for (const int n : seen) EXPECT_GT(n, 0);
}

TEST(Erase, OneRectangleOfTheSizeAskedFor) {
  const AugmentOptions options{.height = 40, .width = 50, .erase = 1};
  for (uint64_t item = 0; item < 50; ++item) {
    std::vector<float> numbers(2000, 1.0F);
    Draws draws(1, Stream::augment, 0, item);
    erase(numbers.data(), 1, options, draws);
    const auto gone = std::count(numbers.begin(), numbers.end(), 0.0F);
    EXPECT_GT(gone, 0.015 * 2000);
    EXPECT_LT(gone, 0.36 * 2000);
  }
  std::vector<float> numbers(2000, 1.0F);
  Draws draws(1, Stream::augment, 0, 1);
  erase(numbers.data(), 1, {.height = 40, .width = 50}, draws);
  EXPECT_EQ(std::count(numbers.begin(), numbers.end(), 1.0F), 2000);
}

TEST(Mix, UpAndCutWithTheirTargets) {
  std::vector<float> images = {1, 1, 1, 1, 10, 10, 10, 10, 100, 100, 100, 100};  // three of 1 x 2 x 2
  mix_images({.stay = 0.75}, 3, 1, 2, 2, images);
  EXPECT_EQ(images, (std::vector<float>{25.75, 25.75, 25.75, 25.75, 7.75, 7.75, 7.75, 7.75, 77.5, 77.5, 77.5, 77.5}));
  images = {1, 1, 1, 1, 10, 10, 10, 10, 100, 100, 100, 100};
  const Mix cut{.stay = 0.75, .box = {1, 0, 1, 1}};
  mix_images(cut, 3, 1, 2, 2, images);
  EXPECT_EQ(images, (std::vector<float>{1, 1, 100, 1, 10, 10, 1, 10, 100, 100, 10, 100}));
  std::vector<float> targets;
  mix_targets(cut, {0, 1, 1}, 2, 0, targets);
  EXPECT_EQ(targets, (std::vector<float>{0.75, 0.25, 0.25, 0.75, 0, 1}));
  mix_targets({}, {1}, 4, 0.2, targets);
  EXPECT_EQ(targets, (std::vector<float>{0.05F, 0.05F + 0.8F, 0.05F, 0.05F}));
}

TEST(Mix, SharesFollowTheirDistribution) {
  const AugmentOptions options{.mixup = 0.8, .cutmix = 1.0};
  double sum = 0, square = 0;
  int cuts = 0;
  constexpr int n = 2000;
  for (uint64_t step = 0; step < n; ++step) {
    Draws draws(1, Stream::mix, 0, step);
    const Mix mix = choose_mix(options, draws);
    cuts += mix.cuts();
    if (mix.cuts()) {
      EXPECT_NEAR(mix.stay, 1 - mix.box.height * mix.box.width / 50176.0, 1e-12);
      continue;
    }
    sum += mix.stay;
    square += mix.stay * mix.stay;
  }
  EXPECT_NEAR(cuts, n / 2, 80);
  const double mean = sum / (n - cuts), variance = square / (n - cuts) - mean * mean;
  EXPECT_NEAR(mean, 0.5, 0.03);
  EXPECT_NEAR(variance, 1 / (4 * (2 * 0.8 + 1)), 0.01);  // of Beta(a, a)
}

TEST(Options, WithoutSenseAreNamed) {
  EXPECT_NE(message_of([] { check(AugmentOptions{.crop = "odd"}); }).find("crop"), std::string::npos);
  EXPECT_NE(message_of([] { check(AugmentOptions{.flip = 1.5}); }).find("flip"), std::string::npos);
  EXPECT_NE(message_of([] { check(AugmentOptions{.scale_min = 0.9, .scale_max = 0.5}); }).find("scale_min"),
            std::string::npos);
  EXPECT_NE(message_of([] { check(AugmentOptions{.interpolation = "nearest"}); }).find("nearest"), std::string::npos);
  EXPECT_NE(message_of([] { check(Normalisation{}, 1); }).find("1 channels"), std::string::npos);
  EXPECT_NO_THROW(check(AugmentOptions{}));
}

}  // namespace
}  // namespace crate
