// image: pixels in memory, and the files they come from and go to.
// JPEG (libjpeg-turbo), PNG (libpng) and WebP (libwebp) are told apart by their content, never by the suffix. What
// comes out is what torchvision's PIL loader gives before its convert("RGB"): grey files one channel, all others three;
// palettes are looked up, alpha is dropped (not blended), 16 bits keep their high byte, CMYK becomes RGB, colour
// profiles, gamma and the EXIF orientation are not applied, as the authors' loaders do not apply them either.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace crate {

/// Rows from the top, pixels from the left, the channels of a pixel side by side (h, w, c); c is 1 (grey) or 3 (RGB).
struct Image {
  int height = 0, width = 0, channels = 3;
  std::vector<uint8_t> pixels;

  Image() = default;
  Image(int h, int w, int c)
      : height(h), width(w), channels(c), pixels(static_cast<std::size_t>(h) * static_cast<std::size_t>(w * c)) {}

  std::size_t offset(int y, int x) const {
    return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) *
           static_cast<std::size_t>(channels);
  }
  uint8_t* at(int y, int x) { return pixels.data() + offset(y, x); }
  const uint8_t* at(int y, int x) const { return pixels.data() + offset(y, x); }
  bool operator==(const Image&) const = default;
};

/// What a file may ask of us before it is refused: a few bytes can promise a very large image.
struct DecodeLimits {
  int64_t pixels = int64_t{1} << 26;  // 67 million, 8192 x 8192
};

/// Throws Error, beginning with `name`, when the bytes are no image of a known kind, too large, damaged or cut short.
Image decode_image(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits = {});
Image load_image(const std::string& path, const DecodeLimits& limits = {});

/// A mask: the numbers in a palette or grey PNG as they stand (VOC: 0 background, 255 not counted), one channel.
Image decode_mask(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits = {});
Image load_mask(const std::string& path, const DecodeLimits& limits = {});

/// Whether the bytes begin as a JPEG, PNG or WebP does.
bool looks_like_image(std::span<const std::byte> bytes);

/// The image with 1 or 3 channels. Colour to grey as PIL's convert("L"): (19595 R + 38470 G + 7471 B + 2^15) / 2^16.
Image with_channels(Image image, int channels);

using Palette = std::vector<std::array<uint8_t, 3>>;
/// The 256 colours of VOC's masks: the bits of the number dealt out to red, green and blue, high bits first.
Palette voc_palette();

/// PNG: grey or RGB by the number of channels; with a palette, one channel of numbers below its size.
std::vector<std::byte> encode_png(const Image& image, const Palette& palette = {});
void write_png(const std::string& path, const Image& image, const Palette& palette = {});

}  // namespace crate
