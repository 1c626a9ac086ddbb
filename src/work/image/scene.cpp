#include "work/image/scene.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "work/image/draws.h"

namespace crate {
namespace {

constexpr double degree = std::numbers::pi / 180;
constexpr int samples = 4;  // a side of a pixel

using Colour = std::array<double, 3>;

bool inside_star(double u, double v) {
  // The outline between a tip (radius 1) and the notch 36 degrees on (radius 0.45) is a straight line.
  constexpr double sector = 72 * degree, notch = 0.45;
  const double angle = std::atan2(u, v), r = std::hypot(u, v);
  const double t = std::abs(angle - sector * std::round(angle / sector));
  const double x = r * std::cos(t), y = r * std::sin(t);
  const double notch_x = notch * std::cos(sector / 2), notch_y = notch * std::sin(sector / 2);
  return (x - 1) * notch_y - y * (notch_x - 1) <= 0;
}

bool inside(int shape, double u, double v) {
  const double r = std::hypot(u, v), most = std::max(std::abs(u), std::abs(v)),
               least = std::min(std::abs(u), std::abs(v));
  switch (shape) {
    case 0:
      return r <= 0.95;  // circle
    case 1:
      return most <= 0.7;  // square
    case 2:
      return std::max(v, std::abs(u) * std::sqrt(0.75) - v / 2) <= 0.5;  // triangle, tip up
    case 3:
      return r <= 1 && r >= 0.6;  // ring
    case 4:
      return most <= 0.95 && least <= 0.28;  // cross
    case 5:
      return inside_star(u, -v);  // star, tip up
    case 6:
      return r <= 1 && std::hypot(u - 0.45, v) >= 0.75;  // crescent
    default:
      return std::abs(u) / 0.6 + std::abs(v) <= 1;  // diamond
  }
}

double distance(const Colour& a, const Colour& b) { return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]); }

Colour random_colour(Draws& draws) { return {draws.uniform(0, 255), draws.uniform(0, 255), draws.uniform(0, 255)}; }

/// A function of the pixel with values in [0, 1]: clouds, stripes, a chessboard, or a slope.
class Texture {
 public:
  Texture(int size, Draws& draws)
      : kind_(draws.below(4)),
        period_(draws.uniform(0.12, 0.35) * size),
        angle_(draws.uniform(0, std::numbers::pi)),
        phase_(draws.uniform(0, 1)) {
    for (double& value : lattice_) value = draws.uniform();
  }

  double at(double y, double x) const {
    const double along = (x * std::cos(angle_) + y * std::sin(angle_)) / period_ + phase_;
    const double across = (y * std::cos(angle_) - x * std::sin(angle_)) / period_ + phase_;
    const auto odd = [](double t) { return static_cast<int64_t>(std::floor(t)) & 1; };
    switch (kind_) {
      case 0:
        return clouds(along, across);
      case 1:
        return 0.5 + 0.5 * std::sin(2 * std::numbers::pi * along);
      case 2:
        return odd(along) == odd(across) ? 1.0 : 0.0;
      default:
        return 0.5 + 0.5 * std::tanh(along - 1.5);
    }
  }

 private:
  static constexpr int64_t side = 8;

  /// Smooth between random values on a grid, which repeats.
  double clouds(double a, double b) const {
    const double fa = std::floor(a), fb = std::floor(b), ta = a - fa, tb = b - fb;
    const auto value = [&](int64_t i, int64_t j) {
      const int64_t ia = (static_cast<int64_t>(fa) + i) & (side - 1), jb = (static_cast<int64_t>(fb) + j) & (side - 1);
      return lattice_[static_cast<std::size_t>(ia * side + jb)];
    };
    const double sa = ta * ta * (3 - 2 * ta), sb = tb * tb * (3 - 2 * tb);
    return std::lerp(std::lerp(value(0, 0), value(0, 1), sb), std::lerp(value(1, 0), value(1, 1), sb), sa);
  }

  int kind_;
  double period_, angle_, phase_;
  std::array<double, side * side> lattice_{};
};

/// Where the object's sample points fall: share of each pixel, 0 .. 16.
std::vector<int> coverage(const SceneObject& o, int height, int width) {
  std::vector<int> count(static_cast<std::size_t>(height) * static_cast<std::size_t>(width));
  const double cos = std::cos(o.angle), sin = std::sin(o.angle);
  const auto range = [](double centre, double r, int most) {
    return std::pair{std::clamp(static_cast<int>(std::floor(centre - r)), 0, most),
                     std::clamp(static_cast<int>(std::ceil(centre + r)), 0, most)};
  };
  const auto [top, bottom] = range(o.y, o.radius, height);
  const auto [left, right] = range(o.x, o.radius, width);
  for (int y = top; y < bottom; ++y) {
    for (int x = left; x < right; ++x) {
      int& n = count[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)];
      for (int s = 0; s < samples * samples; ++s) {
        const double dx = (x + (s % samples + 0.5) / samples - o.x) / o.radius;
        const double dy = (y + (s / samples + 0.5) / samples - o.y) / o.radius;
        n += inside(o.shape, cos * dx + sin * dy, cos * dy - sin * dx);
      }
    }
  }
  return count;
}

/// Objects that do not touch, the largest first; as many of the wished ones as found a place.
std::vector<SceneObject> place_objects(const SceneOptions& options, int first_class, Draws& draws) {
  const int wished = options.objects_min + draws.below(options.objects_max - options.objects_min + 1);
  const double side = std::min(options.height, options.width);
  const double largest = wished == 1 ? 0.36 : 0.36 / std::sqrt(wished) + 0.03, smallest = largest / 2;
  std::vector<double> radius(static_cast<std::size_t>(wished));
  for (double& r : radius) r = draws.uniform(smallest, largest) * side;
  std::sort(radius.rbegin(), radius.rend());
  std::vector<SceneObject> list;
  for (const double r : radius) {
    SceneObject o;
    o.shape = list.empty() ? first_class : draws.below(options.classes);
    o.radius = r;
    o.angle = draws.uniform(-15, 15) * degree;
    for (int tries = 0; tries < 60; ++tries) {
      o.x = draws.uniform(r, options.width - r);
      o.y = draws.uniform(r, options.height - r);
      const bool free = std::none_of(list.begin(), list.end(), [&](const SceneObject& other) {
        return std::hypot(o.x - other.x, o.y - other.y) < o.radius + other.radius + 1;
      });
      if (!free) continue;
      list.push_back(o);
      break;
    }
  }
  return list;
}

void check(const SceneOptions& o) {
  require(o.count > 0 && o.count < (int64_t{1} << 32), "[scenes] count must be 1 or more, came {}", o.count);
  require(std::min(o.height, o.width) >= 16 && std::max(o.height, o.width) <= 4096,
          "[scenes] a side must be 16 .. 4096 pixels, came {} x {}", o.width, o.height);
  const int most = static_cast<int>(shape_names().size());
  require(o.classes >= 2 && o.classes <= most, "[scenes] classes must be 2 .. {}, came {}", most, o.classes);
  require(o.objects_min >= 1 && o.objects_min <= o.objects_max && o.objects_max <= 16,
          "[scenes] objects must grow within 1 .. 16, came {} .. {}", o.objects_min, o.objects_max);
}

}  // namespace

const std::vector<std::string>& shape_names() {
  static const std::vector<std::string> names = {"circle", "square", "triangle", "ring",
                                                 "cross",  "star",   "crescent", "diamond"};
  return names;
}

Scene make_scene(const SceneOptions& options, int64_t i) {
  check(options);
  require(i >= 0 && i < options.count, "[scenes] scene {} of {}", i, options.count);
  Draws draws(options.seed, Stream::scene, static_cast<uint64_t>(options.part), static_cast<uint64_t>(i));
  const int height = options.height, width = options.width;
  const Colour ground = random_colour(draws);
  Colour other;
  for (std::size_t c = 0; c < 3; ++c) other[c] = std::clamp(ground[c] + draws.uniform(-70, 70), 0.0, 255.0);
  const Texture texture(std::min(height, width), draws);

  Scene scene{Image(height, width, 3), Image(height, width, 1), Image(height, width, 1),
              place_objects(options, static_cast<int>(i % options.classes), draws)};
  std::vector<Colour> pixels(scene.classes.pixels.size());
  for (std::size_t p = 0; p < pixels.size(); ++p) {
    const std::size_t w = static_cast<std::size_t>(width);
    const double t = texture.at(static_cast<double>(p / w), static_cast<double>(p % w));
    for (std::size_t c = 0; c < 3; ++c) pixels[p][c] = std::lerp(ground[c], other[c], t);
  }
  for (std::size_t k = 0; k < scene.list.size(); ++k) {
    SceneObject& object = scene.list[k];
    Colour colour = random_colour(draws);
    while (distance(colour, ground) < 110 || distance(colour, other) < 110) colour = random_colour(draws);
    for (std::size_t c = 0; c < 3; ++c) object.colour[c] = static_cast<uint8_t>(colour[c]);
    const std::vector<int> count = coverage(object, height, width);
    for (std::size_t p = 0; p < pixels.size(); ++p) {
      const double share = static_cast<double>(count[p]) / (samples * samples);
      for (std::size_t c = 0; c < 3; ++c) pixels[p][c] = std::lerp(pixels[p][c], colour[c], share);
      if (share < 0.5) continue;
      scene.classes.pixels[p] = static_cast<uint8_t>(object.shape + 1);
      scene.objects.pixels[p] = static_cast<uint8_t>(k + 1);
    }
  }
  for (std::size_t p = 0; p < scene.image.pixels.size(); ++p) {
    const double grain = draws.uniform(-12, 12);
    scene.image.pixels[p] = static_cast<uint8_t>(std::clamp(std::round(pixels[p / 3][p % 3] + grain), 0.0, 255.0));
  }
  return scene;
}

}  // namespace crate
