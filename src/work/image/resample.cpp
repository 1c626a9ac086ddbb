#include "work/image/resample.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace crate {
namespace {

double triangle(double t) { return std::max(0.0, 1 - std::abs(t)); }

double keys(double t) {
  constexpr double a = -0.5;
  t = std::abs(t);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

// Weights are integers over 2^22: a byte times the weights' sum (bicubic: below 1.3) stays below 2^31.
constexpr int bits = 22;
constexpr int32_t half = 1 << (bits - 1);

/// Of every output position along one axis: the first input and the weights of it and those after it.
struct Weights {
  std::vector<int> first, count;
  std::vector<int32_t> weight;  // `most` a position
  int most = 0;
};

Weights weights_for(int in, int out, Filter filter) {
  const double step = static_cast<double>(in) / out, wide = std::max(step, 1.0);
  const double support = (filter == Filter::bilinear ? 1.0 : 2.0) * wide;
  Weights w;
  w.most = static_cast<int>(std::ceil(support)) * 2 + 1;
  w.first.resize(static_cast<std::size_t>(out));
  w.count.resize(static_cast<std::size_t>(out));
  w.weight.resize(static_cast<std::size_t>(out) * static_cast<std::size_t>(w.most));
  std::vector<double> exact(static_cast<std::size_t>(w.most));
  for (int x = 0; x < out; ++x) {
    const double centre = (x + 0.5) * step;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int count = std::min(in, static_cast<int>(centre + support + 0.5)) - first;
    double sum = 0;
    for (int i = 0; i < count; ++i) {
      const double t = (first + i - centre + 0.5) * (1 / wide);
      sum += exact[static_cast<std::size_t>(i)] = filter == Filter::bilinear ? triangle(t) : keys(t);
    }
    int32_t* to = w.weight.data() + static_cast<std::size_t>(x) * static_cast<std::size_t>(w.most);
    for (int i = 0; i < count; ++i) {
      const double share = exact[static_cast<std::size_t>(i)] / sum * (1 << bits);
      to[i] = static_cast<int32_t>(share < 0 ? share - 0.5 : share + 0.5);
    }
    w.first[static_cast<std::size_t>(x)] = first;
    w.count[static_cast<std::size_t>(x)] = count;
  }
  return w;
}

uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> bits, 0, 255)); }

/// One row of `out` pixels of C channels out of the row at `from`.
template <int C> void resample_row(const uint8_t* from, uint8_t* to, int out, const Weights& w) {
  for (int x = 0; x < out; ++x, to += C) {
    const auto at = static_cast<std::size_t>(x);
    const uint8_t* p = from + static_cast<std::ptrdiff_t>(w.first[at]) * C;
    const int32_t* weight = w.weight.data() + at * static_cast<std::size_t>(w.most);
    int32_t sum[C];
    std::fill_n(sum, C, half);
    for (int i = 0; i < w.count[at]; ++i, p += C) {
      for (int c = 0; c < C; ++c) sum[c] += weight[i] * p[c];
    }
    for (int c = 0; c < C; ++c) to[c] = to_byte(sum[c]);
  }
}

/// Row y of the result: the weighted mean of rows of `n` bytes.
void mean_of_rows(const Image& rows, int y, const Weights& w, std::vector<int32_t>& sum, uint8_t* to) {
  const auto at = static_cast<std::size_t>(y);
  const int n = rows.width * rows.channels;
  std::fill(sum.begin(), sum.end(), half);
  int32_t* s = sum.data();
  for (int i = 0; i < w.count[at]; ++i) {
    const uint8_t* row = rows.at(w.first[at] + i, 0);
    const int32_t weight = w.weight[at * static_cast<std::size_t>(w.most) + static_cast<std::size_t>(i)];
#pragma omp simd
    for (int j = 0; j < n; ++j) s[j] += weight * row[j];
  }
#pragma omp simd
  for (int j = 0; j < n; ++j) to[j] = to_byte(s[j]);
}

}  // namespace

Filter filter_named(const std::string& name) {
  if (name == "bilinear") return Filter::bilinear;
  if (name == "bicubic") return Filter::bicubic;
  fail("[images] interpolation must be bilinear or bicubic, came '{}'", name);
}

Image resize(const Image& image, const Box& box, int height, int width, Filter filter) {
  require(height > 0 && width > 0, "[images] cannot scale to {} x {} pixels", width, height);
  require(box.top >= 0 && box.left >= 0 && box.height > 0 && box.width > 0 && box.height <= image.height - box.top &&
              box.width <= image.width - box.left,
          "[images] the part ({}, {}) + {} x {} lies outside an image of {} x {}", box.left, box.top, box.width,
          box.height, image.width, image.height);
  Image columns(box.height, width, image.channels);
  const Weights across = weights_for(box.width, width, filter);
  for (int y = 0; y < box.height; ++y) {
    const uint8_t* from = image.at(box.top + y, box.left);
    uint8_t* to = columns.at(y, 0);
    if (width == box.width) {
      std::copy_n(from, width * image.channels, to);
    } else if (image.channels == 1) {
      resample_row<1>(from, to, width, across);
    } else {
      resample_row<3>(from, to, width, across);
    }
  }
  if (height == box.height) return columns;
  Image out(height, width, image.channels);
  const Weights down = weights_for(box.height, height, filter);
  std::vector<int32_t> sum(static_cast<std::size_t>(width * image.channels));
  for (int y = 0; y < height; ++y) mean_of_rows(columns, y, down, sum, out.at(y, 0));
  return out;
}

Image resize(const Image& image, int height, int width, Filter filter) {
  return resize(image, Box{0, 0, image.height, image.width}, height, width, filter);
}

Image resize_short(const Image& image, int size, Filter filter) {
  const int64_t shorter = std::min(image.height, image.width);
  const auto scaled = [&](int side) {
    return side == shorter ? size : static_cast<int>(int64_t{size} * side / shorter);
  };
  return resize(image, scaled(image.height), scaled(image.width), filter);
}

Image crop(const Image& image, const Box& box) {
  Image out(box.height, box.width, image.channels);
  const int left = std::max(0, box.left), right = std::min(image.width, box.left + box.width);
  for (int y = 0; y < box.height; ++y) {
    const int from = box.top + y;
    if (from < 0 || from >= image.height || left >= right) continue;
    std::copy_n(image.at(from, left), (right - left) * image.channels, out.at(y, left - box.left));
  }
  return out;
}

Image centre_crop(const Image& image, int height, int width) {
  const auto start = [](int have, int want) { return static_cast<int>(std::nearbyint((have - want) / 2.0)); };
  return crop(image, {start(image.height, height), start(image.width, width), height, width});
}

void flip_horizontally(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    for (int left = 0, right = image.width - 1; left < right; ++left, --right)
      std::swap_ranges(image.at(y, left), image.at(y, left) + image.channels, image.at(y, right));
  }
}

}  // namespace crate
