#include "work/image/image.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "work/image/codecs.h"

namespace crate {
namespace {

bool begins(Bytes bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

bool is_jpeg(Bytes b) { return begins(b, "\xff\xd8\xff"); }
bool is_png(Bytes b) { return begins(b, "\x89PNG\r\n\x1a\n"); }
bool is_webp(Bytes b) { return begins(b, "RIFF") && begins(b, "WEBP", 8); }

/// Calls f and puts the file's name before the reason of an Error.
template <class F> Image named(const std::string& name, F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    fail("{}: {}", name, e.what());
  }
}

[[noreturn]] void unknown_kind(Bytes bytes, const char* kinds) {
  fail("{}", bytes.empty() ? "the file is empty" : fmt::format("not an image of a kind that is read here ({})", kinds));
}

}  // namespace

void check_image_size(int64_t height, int64_t width, const DecodeLimits& limits) {
  require(height > 0 && width > 0, "an image of {} x {} pixels", width, height);
  require(height <= limits.pixels / width, "{} x {} pixels are more than the limit of {}; scale it down first", width,
          height, limits.pixels);
}

bool looks_like_image(Bytes bytes) { return is_jpeg(bytes) || is_png(bytes) || is_webp(bytes); }

Image decode_image(Bytes bytes, const std::string& name, const DecodeLimits& limits) {
  return named(name, [&] {
    if (is_jpeg(bytes)) return decode_jpeg(bytes, limits);
    if (is_png(bytes)) return decode_png(bytes, limits, false);
    if (is_webp(bytes)) return decode_webp(bytes, limits);
    unknown_kind(bytes, "JPEG, PNG, WebP");
  });
}

Image decode_mask(Bytes bytes, const std::string& name, const DecodeLimits& limits) {
  return named(name, [&] {
    if (is_png(bytes)) return decode_png(bytes, limits, true);
    unknown_kind(bytes, "a mask is a PNG with a palette or in grey");
  });
}

Image load_image(const std::string& path, const DecodeLimits& limits) {
  const MappedFile file(path);
  return decode_image(file.bytes(), path, limits);
}

Image load_mask(const std::string& path, const DecodeLimits& limits) {
  const MappedFile file(path);
  return decode_mask(file.bytes(), path, limits);
}

Image with_channels(Image image, int channels) {
  require(channels == 1 || channels == 3, "[image] channels must be 1 or 3, came {}", channels);
  if (image.channels == channels) return image;
  Image out(image.height, image.width, channels);
  const std::size_t n = static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
  const uint8_t* from = image.pixels.data();
  uint8_t* to = out.pixels.data();
  for (std::size_t i = 0; i < n; ++i) {
    if (channels == 1) {
      const uint8_t* p = from + 3 * i;
      to[i] = static_cast<uint8_t>((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16);
    } else {
      std::fill_n(to + 3 * i, 3, from[i]);
    }
  }
  return out;
}

Palette voc_palette() {
  Palette palette(256);
  for (std::size_t i = 0; i < palette.size(); ++i) {
    for (std::size_t bit = 0; bit < 8; ++bit) {
      // Bits 0, 1, 2 of the number give the highest bits of red, green, blue, bits 3, 4, 5 the next, ...
      if (i >> bit & 1) palette[i][bit % 3] |= static_cast<uint8_t>(1u << (7 - bit / 3));
    }
  }
  return palette;
}

}  // namespace crate
