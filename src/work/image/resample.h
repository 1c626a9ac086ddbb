// resample: scaling with antialiasing, bit for bit as PIL (and so torchvision on PIL images) does it.
// Along each axis an output pixel x has its centre at c = (x + 1/2) s, s = in / out, and is the mean of the inputs i
// weighted by f((i + 1/2 - c) / max(s, 1)); scaling down widens the filter (antialias). Columns first, rounded to
// bytes, then rows.
//   bilinear: f(t) = 1 - |t|, |t| < 1.     bicubic: Keys' kernel with a = -1/2, |t| < 2.
#pragma once
#include "work/image/image.h"

namespace crate {

enum class Filter : uint8_t { bilinear, bicubic };

/// "bilinear" or "bicubic"; throws Error on another word.
Filter filter_named(const std::string& name);

/// A rectangle of pixels; it may reach beyond the image, where everything is black.
struct Box {
  int top = 0, left = 0, height = 0, width = 0;
  bool operator==(const Box&) const = default;
};

/// The part of the image that `box` (inside the image) covers, scaled to height x width as if it had been cut out
/// first.
Image resize(const Image& image, const Box& box, int height, int width, Filter filter);
Image resize(const Image& image, int height, int width, Filter filter);
/// The shorter side becomes `size`, the longer keeps its proportion (its fraction dropped, as torchvision does).
Image resize_short(const Image& image, int size, Filter filter);

Image crop(const Image& image, const Box& box);
/// The middle height x width; offsets of half a pixel are rounded to even, as torchvision does.
Image centre_crop(const Image& image, int height, int width);
void flip_horizontally(Image& image);

}  // namespace crate
