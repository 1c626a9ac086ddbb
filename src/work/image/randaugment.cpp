#include "work/image/randaugment.h"

#include <cmath>
#include <numbers>

#include "base/error.h"
#include "work/image/colour.h"

namespace crate {
namespace {

enum class Change : uint8_t {
  nothing,
  shear_x,
  shear_y,
  shift_x,
  shift_y,
  rotate,
  brightness,
  saturation,
  contrast,
  sharpness,
  posterise,
  solarise,
  stretch,
  equalise,
  count
};

constexpr double strongest = 30;

Image rotated(const Image& image, double degrees) {
  const double angle = degrees * std::numbers::pi / 180, cos = std::cos(angle), sin = std::sin(angle);
  const double x = image.width / 2.0, y = image.height / 2.0;
  return warp(image, cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y);
}

void apply(Image& image, Change change, double part, double sign) {
  const double shear = sign * 0.3 * part, factor = 1 + sign * 0.9 * part;
  const auto shift = [&](int side) { return sign * std::floor(150.0 / 331 * side * part); };
  switch (change) {
    case Change::shear_x:
      image = warp(image, 1, shear, 0, 0, 1, 0);
      break;
    case Change::shear_y:
      image = warp(image, 1, 0, 0, shear, 1, 0);
      break;
    case Change::shift_x:
      image = warp(image, 1, 0, shift(image.width), 0, 1, 0);
      break;
    case Change::shift_y:
      image = warp(image, 1, 0, 0, 0, 1, shift(image.height));
      break;
    case Change::rotate:
      image = rotated(image, sign * 30 * part);
      break;
    case Change::brightness:
      brightness(image, factor);
      break;
    case Change::saturation:
      saturation(image, factor);
      break;
    case Change::contrast:
      contrast(image, factor);
      break;
    case Change::sharpness:
      sharpness(image, factor);
      break;
    case Change::posterise:
      posterise(image, 8 - static_cast<int>(std::nearbyint(4 * part)));
      break;
    case Change::solarise:
      solarise(image, static_cast<int>(std::ceil(255 * (1 - part))));
      break;
    case Change::stretch:
      stretch_contrast(image);
      break;
    case Change::equalise:
      equalise(image);
      break;
    case Change::nothing:
    case Change::count:
      break;
  }
}

}  // namespace

Image warp(const Image& image, double a, double b, double c, double d, double e, double f) {
  Image out(image.height, image.width, image.channels);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const double from_x = std::floor(a * (x + 0.5) + b * (y + 0.5) + c);
      const double from_y = std::floor(d * (x + 0.5) + e * (y + 0.5) + f);
      if (from_x < 0 || from_y < 0 || from_x >= image.width || from_y >= image.height) continue;
      const uint8_t* p = image.at(static_cast<int>(from_y), static_cast<int>(from_x));
      for (int k = 0; k < image.channels; ++k) out.at(y, x)[k] = p[k];
    }
  }
  return out;
}

void randaugment(Image& image, int n, int m, Draws& draws) {
  require(n >= 0 && m >= 0 && m <= strongest, "[images] randaugment wants n >= 0 and m in 0 .. 30, came {} and {}", n,
          m);
  for (int i = 0; i < n; ++i) {
    const auto change = static_cast<Change>(draws.below(static_cast<int>(Change::count)));
    const double sign = draws.chance(0.5) ? -1 : 1;
    apply(image, change, m / strongest, sign);
  }
}

}  // namespace crate
