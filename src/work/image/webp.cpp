// webp: decoding through libwebp; still images, lossy or lossless, with alpha dropped.
#include <webp/decode.h>

#include "base/error.h"
#include "work/image/codecs.h"

namespace crate {

Image decode_webp(Bytes bytes, const DecodeLimits& limits) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  require(WebPGetFeatures(data, bytes.size(), &features) == VP8_STATUS_OK, "the WebP is damaged or cut short");
  require(!features.has_animation, "an animated WebP; save one of its pictures as a still image");
  check_image_size(features.height, features.width, limits);
  Image out(features.height, features.width, 3);
  require(WebPDecodeRGBInto(data, bytes.size(), out.pixels.data(), out.pixels.size(), features.width * 3) != nullptr,
          "the WebP is damaged or cut short");
  return out;
}

}  // namespace crate
