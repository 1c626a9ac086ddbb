// codecs: one decoder a kind of file. Each checks the size the header promises before it allocates, and throws Error
// with the reason alone; image.cpp puts the file's name before it.
#pragma once
#include "work/image/image.h"

namespace crate {

using Bytes = std::span<const std::byte>;

Image decode_jpeg(Bytes bytes, const DecodeLimits& limits);
/// `mask`: palette numbers and grey levels as they stand, one channel; otherwise palettes are looked up.
Image decode_png(Bytes bytes, const DecodeLimits& limits, bool mask);
Image decode_webp(Bytes bytes, const DecodeLimits& limits);

/// Throws Error when a header's size is none or beyond the limits.
void check_image_size(int64_t height, int64_t width, const DecodeLimits& limits);

}  // namespace crate
