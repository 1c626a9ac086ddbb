// Any bytes as an image and as a mask: an Error, or pixels that go through what training does with them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "work/image/augment.h"

namespace {

constexpr crate::DecodeLimits limits{.pixels = 1 << 20};

void use(const crate::Image& image) {
  const auto size = static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
  if (image.pixels.size() != size * static_cast<std::size_t>(image.channels) || size == 0) std::abort();
  const crate::AugmentOptions options{
      .height = 16, .width = 24, .interpolation = "bicubic", .randaugment = 2, .hue = 0.1};
  crate::Draws draws(1, crate::Stream::augment, 0, size);
  if (crate::augmented(image, options, draws).width != 24) std::abort();
  if (crate::transformed(image, {.resize = 20, .height = 16, .width = 16}).height != 16) std::abort();
  if (crate::decode_image(crate::encode_png(image), "own") != image) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    use(crate::decode_image(bytes, "fuzz", limits));
  } catch (const crate::Error&) {
  }
  try {
    use(crate::decode_mask(bytes, "fuzz", limits));
  } catch (const crate::Error&) {
  }
  return 0;
}
