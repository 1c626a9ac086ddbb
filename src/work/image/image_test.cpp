// Every kind of image file decodes to what it holds; what is damaged, cut short or too large is an error with a reason.
#include "work/image/image.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "testing/folder.h"
#include "testing/image_files.h"

namespace crate {
namespace {

Image decoded(const std::string& bytes) { return decode_image(bytes_of(bytes), "file"); }

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  int largest = 0;
  for (std::size_t i = 0; i < std::min(a.pixels.size(), b.pixels.size()); ++i)
    largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

TEST(DecodeImage, JpegInColourAndGreyPlainAndProgressive) {
  for (const int channels : {1, 3}) {
    for (const bool progressive : {false, true}) {
      const Image image = test_image(37, 51, channels);
      const Image back = decoded(jpeg_bytes(image, {.progressive = progressive}));
      EXPECT_EQ(back.channels, channels);
      EXPECT_EQ(back.height, 37);
      EXPECT_EQ(back.width, 51);
      EXPECT_LE(largest_difference(image, back), 12);  // smooth at quality 95: a few levels
    }
  }
}

TEST(DecodeImage, JpegOfInks) {
  // Adobe's CMYK holds light: colour 255 passes everything, and black 128 halves it.
  Image light(16, 16, 4);
  for (std::size_t i = 0; i < light.pixels.size(); i += 4) {
    light.pixels[i] = 255;
    light.pixels[i + 1] = 100;
    light.pixels[i + 2] = 0;
    light.pixels[i + 3] = 128;
  }
  const Image back = decoded(jpeg_bytes(light, {.quality = 100, .space = JCS_CMYK}));
  EXPECT_EQ(back.channels, 3);
  EXPECT_NEAR(back.at(8, 8)[0], 128, 2);
  EXPECT_NEAR(back.at(8, 8)[1], 50, 2);
  EXPECT_NEAR(back.at(8, 8)[2], 0, 2);
}

TEST(DecodeImage, EveryJpegThatIsCutShortIsAnError) {
  for (const bool progressive : {false, true}) {
    const std::string whole = jpeg_bytes(test_image(40, 40, 3), {.progressive = progressive});
    for (std::size_t n = 0; n + 2 < whole.size(); n += 1 + whole.size() / 97) {
      const std::string message = message_of([&] { decoded(whole.substr(0, n)); });
      EXPECT_TRUE(message.starts_with("file: ")) << n << " of " << whole.size() << ": " << message;
    }
  }
}

TEST(DecodeImage, WebpIsExactWhenLossless) {
  const Image image = test_image(20, 33, 3);
  const std::string bytes = webp_bytes(image);
  EXPECT_EQ(decoded(bytes), image);
  EXPECT_NE(message_of([&] { decoded(bytes.substr(0, bytes.size() / 2)); }).find("cut short"), std::string::npos);
}

TEST(DecodeImage, PngOfEveryColourType) {
  const std::vector<png_color> palette = {{1, 2, 3}, {40, 50, 60}, {7, 8, 9}, {255, 0, 128}};
  for (const bool interlaced : {false, true}) {
    // Two pixels a row, two rows. Depth 2: the numbers 3, 1 are the bits 11 01.
    const Image looked_up =
        decoded(png_bytes(2, 2, PNG_COLOR_TYPE_PALETTE, 2, {{0b11010000}, {0b00100000}}, interlaced, palette));
    EXPECT_EQ(looked_up.pixels, (std::vector<uint8_t>{255, 0, 128, 40, 50, 60, 1, 2, 3, 7, 8, 9}));
    const Image rgba =
        decoded(png_bytes(2, 1, PNG_COLOR_TYPE_RGB_ALPHA, 8, {{10, 20, 30, 0}, {40, 50, 60, 128}}, interlaced));
    EXPECT_EQ(rgba.pixels, (std::vector<uint8_t>{10, 20, 30, 40, 50, 60}));
    const Image deep = decoded(png_bytes(1, 1, PNG_COLOR_TYPE_RGB, 16, {{0x12, 0xff, 0x34, 0x00, 0x56, 0x80}}));
    EXPECT_EQ(deep.pixels, (std::vector<uint8_t>{0x12, 0x34, 0x56}));
    const Image bits = decoded(png_bytes(1, 4, PNG_COLOR_TYPE_GRAY, 1, {{0b01010000}}, interlaced));
    EXPECT_EQ(bits.channels, 1);
    EXPECT_EQ(bits.pixels, (std::vector<uint8_t>{0, 255, 0, 255}));
    const Image grey_alpha = decoded(png_bytes(1, 2, PNG_COLOR_TYPE_GRAY_ALPHA, 8, {{9, 0, 200, 255}}, interlaced));
    EXPECT_EQ(grey_alpha.pixels, (std::vector<uint8_t>{9, 200}));
  }
}

TEST(DecodeImage, WhatIsNoImageOrTooLarge) {
  EXPECT_EQ(message_of([] { decoded(""); }), "file: the file is empty");
  EXPECT_NE(message_of([] { decoded("GIF89a, which is not read"); }).find("JPEG, PNG, WebP"), std::string::npos);
  const std::string png = png_bytes(30, 40, PNG_COLOR_TYPE_GRAY, 8, std::vector(30, std::vector<uint8_t>(40)));
  const std::string jpeg = jpeg_bytes(test_image(30, 40, 3)), webp = webp_bytes(test_image(30, 40, 3));
  for (const std::string& bytes : {png, jpeg, webp}) {
    const auto decode = [&](int64_t pixels) { decode_image(bytes_of(bytes), "file", {.pixels = pixels}); };
    EXPECT_NO_THROW(decode(1200));
    EXPECT_NE(message_of([&] { decode(1199); }).find("40 x 30 pixels are more than the limit of 1199"),
              std::string::npos);
  }
  std::string cut = png.substr(0, png.size() - 20);
  EXPECT_NE(message_of([&] { decoded(cut); }).find("cut short"), std::string::npos);
  std::string flipped = png;
  flipped[png.size() - 20] ^= 1;
  EXPECT_NE(message_of([&] { decoded(flipped); }).find("damaged"), std::string::npos);
}

TEST(WritePng, ReadsBackAsItWas) {
  const Folder folder;
  for (const int channels : {1, 3}) {
    const Image image = test_image(17, 23, channels);
    write_png(folder.at("image.png"), image);
    EXPECT_EQ(load_image(folder.at("image.png")), image);
  }
}

TEST(WritePng, MasksKeepTheirNumbersAndShowTheirColours) {
  const Folder folder;
  Image mask(2, 3, 1);
  mask.pixels = {0, 1, 2, 15, 20, 255};
  write_png(folder.at("mask.png"), mask, voc_palette());
  EXPECT_EQ(load_mask(folder.at("mask.png")), mask);
  const Image shown = load_image(folder.at("mask.png"));
  EXPECT_EQ(shown.pixels, (std::vector<uint8_t>{0, 0, 0, 128, 0, 0, 0, 128, 0,                // aeroplane, bicycle
                                                192, 128, 128, 0, 64, 128, 224, 224, 192}));  // person, tv, not counted
  EXPECT_NE(message_of([&] { encode_png(mask, Palette(20)); }).find("number 255"), std::string::npos);
  EXPECT_NE(message_of([&] { load_mask(folder.with("text.png", "text")); }).find("text.png"), std::string::npos);
}

TEST(WithChannels, GreyIsPilsLuma) {
  Image image(1, 2, 3);
  image.pixels = {255, 0, 0, 10, 200, 30};
  EXPECT_EQ(with_channels(image, 1).pixels, (std::vector<uint8_t>{76, 124}));
  EXPECT_EQ(with_channels(with_channels(image, 1), 3).pixels, (std::vector<uint8_t>{76, 76, 76, 124, 124, 124}));
}

}  // namespace
}  // namespace crate
