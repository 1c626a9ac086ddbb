#include "work/image/colour.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace crate {
namespace {

uint8_t to_byte(float value) {
  if (value <= 0) return 0;
  return value >= 255 ? uint8_t{255} : static_cast<uint8_t>(value);
}

uint8_t blended(int a, int b, float factor) {
  return to_byte(static_cast<float>(a) + factor * static_cast<float>(b - a));
}

using Table = std::array<uint8_t, 256>;

Table table_of(auto&& level) {
  Table table{};
  for (int v = 0; v < 256; ++v) table[static_cast<std::size_t>(v)] = level(v);
  return table;
}

void look_up(Image& image, const Table& table) {
  for (uint8_t& v : image.pixels) v = table[v];
}

void look_up(Image& image, int channel, const Table& table) {
  const auto step = static_cast<std::size_t>(image.channels);
  for (std::size_t i = static_cast<std::size_t>(channel); i < image.pixels.size(); i += step)
    image.pixels[i] = table[image.pixels[i]];
}

std::array<int64_t, 256> histogram(const Image& image, int channel) {
  std::array<int64_t, 256> count{};
  const auto step = static_cast<std::size_t>(image.channels);
  for (std::size_t i = static_cast<std::size_t>(channel); i < image.pixels.size(); i += step) ++count[image.pixels[i]];
  return count;
}

/// Hue, saturation and value as bytes, on the hexagon of colours.
std::array<int, 3> to_hsv(int r, int g, int b) {
  const int most = std::max({r, g, b}), least = std::min({r, g, b});
  if (most == least) return {0, 0, most};
  const auto range = static_cast<float>(most - least);
  const float red = static_cast<float>(most - r) / range, green = static_cast<float>(most - g) / range,
              blue = static_cast<float>(most - b) / range;
  const float sector = r == most ? blue - green : g == most ? 2 + red - blue : 4 + green - red;
  const float h = std::fmod(sector / 6 + 1, 1.0F), s = range / static_cast<float>(most);
  return {static_cast<int>(h * 255), static_cast<int>(s * 255), most};
}

void from_hsv(int h, int s, int v, uint8_t* to) {
  const float sector = static_cast<float>(h) * 6 / 255, part = sector - std::floor(sector),
              strength = static_cast<float>(s) / 255, value = static_cast<float>(v);
  const auto level = [&](float loss) { return to_byte(std::round(value * (1 - strength * loss))); };
  const auto full = static_cast<uint8_t>(v), none = level(1), falling = level(part), rising = level(1 - part);
  switch (static_cast<int>(sector) % 6) {
    case 0:
      to[0] = full, to[1] = rising, to[2] = none;
      break;
    case 1:
      to[0] = falling, to[1] = full, to[2] = none;
      break;
    case 2:
      to[0] = none, to[1] = full, to[2] = rising;
      break;
    case 3:
      to[0] = none, to[1] = falling, to[2] = full;
      break;
    case 4:
      to[0] = rising, to[1] = none, to[2] = full;
      break;
    default:
      to[0] = full, to[1] = none, to[2] = falling;
      break;
  }
}

}  // namespace

void brightness(Image& image, double factor) {
  const auto f = static_cast<float>(factor);
  look_up(image, table_of([&](int v) { return blended(0, v, f); }));
}

void contrast(Image& image, double factor) {
  const Image grey = with_channels(image, 1);
  const int64_t sum = std::accumulate(grey.pixels.begin(), grey.pixels.end(), int64_t{0});
  const int mean = static_cast<int>(static_cast<double>(sum) / static_cast<double>(grey.pixels.size()) + 0.5);
  const auto f = static_cast<float>(factor);
  look_up(image, table_of([&](int v) { return blended(mean, v, f); }));
}

void saturation(Image& image, double factor) {
  if (image.channels == 1) return;
  const Image grey = with_channels(image, 1);
  const auto f = static_cast<float>(factor);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = blended(grey.pixels[i / 3], image.pixels[i], f);
}

void sharpness(Image& image, double factor) {
  const Image from = image;
  const auto f = static_cast<float>(factor);
  const std::size_t step = static_cast<std::size_t>(image.channels), row = step * static_cast<std::size_t>(image.width);
  for (int y = 1; y + 1 < image.height; ++y) {
    const std::size_t first = from.offset(y, 1), last = from.offset(y, image.width - 1);
    for (std::size_t i = first; i < last; ++i) {
      const uint8_t* p = from.pixels.data() + i;
      const int ring = p[-static_cast<std::ptrdiff_t>(row + step)] + p[-static_cast<std::ptrdiff_t>(row)] +
                       *(p - row + step) + *(p - step) + p[step] + *(p + row - step) + p[row] + p[row + step];
      // The smoothed level is rounded to a byte before the blend.
      image.pixels[i] = blended(to_byte(static_cast<float>(ring + 5 * *p) / 13.0F + 0.5F), *p, f);
    }
  }
}

void hue(Image& image, double turn) {
  if (image.channels == 1) return;
  const int shift = static_cast<int>(turn * 255);
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    uint8_t* p = image.pixels.data() + i;
    const auto [h, s, v] = to_hsv(p[0], p[1], p[2]);
    from_hsv((h + shift) & 255, s, v, p);
  }
}

void to_grey(Image& image) {
  const int channels = image.channels;
  image = with_channels(with_channels(std::move(image), 1), channels);
}

void solarise(Image& image, int threshold) {
  look_up(image, table_of([&](int v) { return static_cast<uint8_t>(v < threshold ? v : 255 - v); }));
}

void posterise(Image& image, int kept) {
  const int mask = 0xff << (8 - kept) & 0xff;
  look_up(image, table_of([&](int v) { return static_cast<uint8_t>(v & mask); }));
}

void stretch_contrast(Image& image) {
  for (int c = 0; c < image.channels; ++c) {
    const auto count = histogram(image, c);
    int low = 0, high = 255;
    while (low < 255 && count[static_cast<std::size_t>(low)] == 0) ++low;
    while (high > 0 && count[static_cast<std::size_t>(high)] == 0) --high;
    if (high <= low) continue;
    const double scale = 255.0 / (high - low), offset = -low * scale;
    look_up(image, c, table_of([&](int v) {
              return static_cast<uint8_t>(std::clamp(static_cast<int>(v * scale + offset), 0, 255));
            }));
  }
}

void equalise(Image& image) {
  for (int c = 0; c < image.channels; ++c) {
    const auto count = histogram(image, c);
    int64_t total = 0, last = 0, levels = 0;
    for (const int64_t n : count) {
      total += n;
      if (n > 0) last = n, ++levels;
    }
    const int64_t step = (total - last) / 255;
    if (levels <= 1 || step == 0) continue;
    int64_t below = step / 2;
    look_up(image, c, table_of([&](int v) {
              const auto level = static_cast<uint8_t>(std::min<int64_t>(255, below / step));
              below += count[static_cast<std::size_t>(v)];
              return level;
            }));
  }
}

void gaussian_blur(Image& image, double sigma) {
  const int radius = std::max(1, static_cast<int>(std::ceil(3 * sigma)));
  std::vector<float> weight(static_cast<std::size_t>(2 * radius + 1));
  double sum = 0;
  for (int i = -radius; i <= radius; ++i) sum += std::exp(-i * i / (2 * sigma * sigma));
  for (int i = -radius; i <= radius; ++i)
    weight[static_cast<std::size_t>(i + radius)] = static_cast<float>(std::exp(-i * i / (2 * sigma * sigma)) / sum);
  const auto h = image.height, w = image.width, step = image.channels;
  std::vector<float> rows(image.pixels.size());
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      float* to = rows.data() + image.offset(y, x);
      for (int i = -radius; i <= radius; ++i) {
        const uint8_t* p = image.at(y, std::clamp(x + i, 0, w - 1));
        for (int c = 0; c < step; ++c) to[c] += weight[static_cast<std::size_t>(i + radius)] * static_cast<float>(p[c]);
      }
    }
  }
  std::vector<float> line(static_cast<std::size_t>(w * step));
  for (int y = 0; y < h; ++y) {
    std::fill(line.begin(), line.end(), 0.5F);
    for (int i = -radius; i <= radius; ++i) {
      const float* from = rows.data() + image.offset(std::clamp(y + i, 0, h - 1), 0);
      const float f = weight[static_cast<std::size_t>(i + radius)];
#pragma omp simd
      for (int j = 0; j < w * step; ++j) line[static_cast<std::size_t>(j)] += f * from[j];
    }
    std::transform(line.begin(), line.end(), image.at(y, 0), to_byte);
  }
}

}  // namespace crate
