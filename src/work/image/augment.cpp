#include "work/image/augment.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "work/image/colour.h"
#include "work/image/randaugment.h"

namespace crate {
namespace {

/// Scaled so that it just covers height x width, which is then cut out of the middle.
Image covering(const Image& image, int height, int width, Filter filter) {
  if (image.height == height && image.width == width) return image;
  const double factor = std::max(static_cast<double>(height) / image.height, static_cast<double>(width) / image.width);
  const auto scaled = [&](int side, int least) { return std::max(least, static_cast<int>(side * factor)); };
  return centre_crop(resize(image, scaled(image.height, height), scaled(image.width, width), filter), height, width);
}

Image cut(const Image& image, const AugmentOptions& o, Draws& draws) {
  const Filter filter = filter_named(o.interpolation);
  if (o.crop == "random")
    return resize(image, random_part(image.height, image.width, o, draws), o.height, o.width, filter);
  Image whole = covering(image, o.height, o.width, filter);
  if (o.crop == "centre") return whole;
  const int top = draws.below(2 * o.padding + 1) - o.padding, left = draws.below(2 * o.padding + 1) - o.padding;
  return crop(whole, {top, left, o.height, o.width});
}

void jitter_colours(Image& image, const AugmentOptions& o, Draws& draws) {
  std::array<int, 4> order = {0, 1, 2, 3};
  for (int i = 3; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(draws.below(i + 1))]);
  const auto factor = [&](double range) { return draws.uniform(std::max(0.0, 1 - range), 1 + range); };
  for (const int change : order) {
    if (change == 0 && o.brightness > 0) brightness(image, factor(o.brightness));
    if (change == 1 && o.contrast > 0) contrast(image, factor(o.contrast));
    if (change == 2 && o.saturation > 0) saturation(image, factor(o.saturation));
    if (change == 3 && o.hue > 0) hue(image, draws.uniform(-o.hue, o.hue));
  }
}

void check_range(const char* key, double low, double value, double high) {
  require(value >= low && value <= high, "[augment] {} must be in {} .. {}, came {}", key, low, high, value);
}

void check_pair(const char* key, double least, double low, double high, double most) {
  require(low > least && low <= high && high <= most, "[augment] {}_min {} and {}_max {} must grow, in {} .. {}", key,
          low, key, high, least, most);
}

}  // namespace

void check(const AugmentOptions& o) {
  constexpr double any = 1e6;
  check_range("height", 1, o.height, any);
  check_range("width", 1, o.width, any);
  require(o.crop == "random" || o.crop == "padded" || o.crop == "centre",
          "[augment] crop must be random, padded or centre, came '{}'", o.crop);
  check_pair("scale", 0, o.scale_min, o.scale_max, 1);
  check_pair("ratio", 0, o.ratio_min, o.ratio_max, any);
  check_range("padding", 0, o.padding, any);
  filter_named(o.interpolation);
  check_range("randaugment", 0, o.randaugment, 100);
  check_range("randaugment_strength", 0, o.randaugment_strength, 30);
  for (const auto& [key, value] : {std::pair{"flip", o.flip},
                                   {"jitter", o.jitter},
                                   {"grey", o.grey},
                                   {"blur", o.blur},
                                   {"solarise", o.solarise},
                                   {"erase", o.erase},
                                   {"mix", o.mix},
                                   {"mix_switch", o.mix_switch}})
    check_range(key, 0, value, 1);
  for (const auto& [key, value] : {std::pair{"brightness", o.brightness},
                                   {"contrast", o.contrast},
                                   {"saturation", o.saturation},
                                   {"mixup", o.mixup},
                                   {"cutmix", o.cutmix}})
    check_range(key, 0, value, any);
  check_range("hue", 0, o.hue, 0.5);
  check_pair("blur", 0, o.blur_min, o.blur_max, 100);
  check_pair("erase", 0, o.erase_min, o.erase_max, 1);
  check_pair("erase_ratio", 0, o.erase_ratio_min, o.erase_ratio_max, any);
  require(o.label_smoothing >= 0 && o.label_smoothing < 1, "[augment] label_smoothing must be in 0 .. 1, came {}",
          o.label_smoothing);
}

void check(const EvalTransform& t) {
  require(t.height > 0 && t.width > 0 && t.resize >= 0,
          "[images] evaluation must scale to a size, came resize {}, {} x {}", t.resize, t.width, t.height);
  filter_named(t.interpolation);
}

void check(const Normalisation& n, int channels) {
  const auto c = static_cast<std::size_t>(channels);
  require(n.mean.size() == c && n.std.size() == c,
          "[images] {} channels need as many means and deviations, came {} and {}", channels, n.mean.size(),
          n.std.size());
  for (const float s : n.std) require(s > 0, "[images] a deviation must be positive, came {}", s);
}

Box random_part(int height, int width, const AugmentOptions& o, Draws& draws) {
  // Ten tries, then the largest middle part of an allowed proportion, as torchvision does.
  for (int i = 0; i < 10; ++i) {
    const double area = static_cast<double>(height) * width * draws.uniform(o.scale_min, o.scale_max);
    const double ratio = std::exp(draws.uniform(std::log(o.ratio_min), std::log(o.ratio_max)));
    const int w = static_cast<int>(std::nearbyint(std::sqrt(area * ratio)));
    const int h = static_cast<int>(std::nearbyint(std::sqrt(area / ratio)));
    if (w <= 0 || h <= 0 || w > width || h > height) continue;
    const int top = draws.below(height - h + 1), left = draws.below(width - w + 1);
    return {top, left, h, w};
  }
  const double ratio = static_cast<double>(width) / height;
  int w = width, h = height;
  if (ratio < o.ratio_min) h = std::max(1, static_cast<int>(std::nearbyint(width / o.ratio_min)));
  if (ratio > o.ratio_max) w = std::max(1, static_cast<int>(std::nearbyint(height * o.ratio_max)));
  return {(height - h) / 2, (width - w) / 2, h, w};
}

Image augmented(const Image& image, const AugmentOptions& o, Draws& draws) {
  Image out = cut(image, o, draws);
  if (draws.chance(o.flip)) flip_horizontally(out);
  if (o.randaugment > 0) randaugment(out, o.randaugment, o.randaugment_strength, draws);
  const bool jitters = o.brightness > 0 || o.contrast > 0 || o.saturation > 0 || o.hue > 0;
  if (jitters && draws.chance(o.jitter)) jitter_colours(out, o, draws);
  if (o.grey > 0 && draws.chance(o.grey)) to_grey(out);
  if (o.blur > 0 && draws.chance(o.blur)) gaussian_blur(out, draws.uniform(o.blur_min, o.blur_max));
  if (o.solarise > 0 && draws.chance(o.solarise)) solarise(out, 128);
  return out;
}

Image transformed(const Image& image, const EvalTransform& t) {
  const Filter filter = filter_named(t.interpolation);
  if (t.resize == 0) return covering(image, t.height, t.width, filter);
  return centre_crop(resize_short(image, t.resize, filter), t.height, t.width);
}

void normalise(const Image& image, const Normalisation& normalisation, float* out) {
  const std::size_t plane = static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    std::array<float, 256> value{};
    for (std::size_t v = 0; v < value.size(); ++v)
      value[v] = (static_cast<float>(v) / 255.0F - normalisation.mean[c]) / normalisation.std[c];
    const uint8_t* from = image.pixels.data() + c;
    float* to = out + c * plane;
    for (std::size_t i = 0; i < plane; ++i) to[i] = value[from[i * channels]];
  }
}

Image denormalised(const float* numbers, int height, int width, const Normalisation& normalisation) {
  Image out(height, width, static_cast<int>(normalisation.mean.size()));
  const std::size_t channels = normalisation.mean.size(), plane = out.pixels.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < plane; ++i) {
      const float level = (numbers[c * plane + i] * normalisation.std[c] + normalisation.mean[c]) * 255.0F;
      out.pixels[i * channels + c] = static_cast<uint8_t>(std::clamp(std::round(level), 0.0F, 255.0F));
    }
  }
  return out;
}

void erase(float* numbers, int channels, const AugmentOptions& o, Draws& draws) {
  if (o.erase <= 0 || !draws.chance(o.erase)) return;
  for (int i = 0; i < 10; ++i) {
    const double area = static_cast<double>(o.height) * o.width * draws.uniform(o.erase_min, o.erase_max);
    const double ratio = std::exp(draws.uniform(std::log(o.erase_ratio_min), std::log(o.erase_ratio_max)));
    const int h = static_cast<int>(std::nearbyint(std::sqrt(area * ratio)));
    const int w = static_cast<int>(std::nearbyint(std::sqrt(area / ratio)));
    if (h < 1 || w < 1 || h >= o.height || w >= o.width) continue;
    const int top = draws.below(o.height - h + 1), left = draws.below(o.width - w + 1);
    for (int c = 0; c < channels; ++c) {
      for (int y = top; y < top + h; ++y) {
        float* row = numbers + (static_cast<std::ptrdiff_t>(c) * o.height + y) * o.width + left;
        for (int x = 0; x < w; ++x) row[x] = o.erase_noise ? static_cast<float>(draws.normal()) : 0.0F;
      }
    }
    return;
  }
}

}  // namespace crate
