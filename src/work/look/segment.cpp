#include "work/look/segment.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"

namespace crate {
namespace {

constexpr uint8_t ignored = 255;

// The patch under a pixel.
int64_t patch_at(const Segmentation& s, const Image& picture, int y, int x) {
  const int64_t row = static_cast<int64_t>(2 * y + 1) * s.rows / (2 * picture.height);
  const int64_t column = static_cast<int64_t>(2 * x + 1) * s.columns / (2 * picture.width);
  return row * s.columns + column;
}

double ratio(int64_t both, int64_t a, int64_t b) {
  return a + b > both ? static_cast<double>(both) / static_cast<double>(a + b - both) : 0;
}

// Pixels of a patch by what is true there.
using Counts = std::vector<std::array<int64_t, 256>>;

Counts counts_of(const Segmentation& s, const Image& truth) {
  Counts out(static_cast<std::size_t>(s.rows * s.columns));
  for (auto& patch : out) patch.fill(0);
  for (int y = 0; y < truth.height; ++y)
    for (int x = 0; x < truth.width; ++x) ++out[patch_at(s, truth, y, x)][*truth.at(y, x)];
  return out;
}

// IoU of a mask with the pixels whose truth is in [from, to].
double iou(const Counts& counts, const PatchMask& mask, int from, int to) {
  int64_t both = 0, found = 0, real = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    for (int t = 0; t < ignored; ++t) {
      const bool is = t >= from && t <= to;
      found += mask[i] ? counts[i][t] : 0;
      real += is ? counts[i][t] : 0;
      both += mask[i] && is ? counts[i][t] : 0;
    }
  }
  return ratio(both, found, real);
}

}  // namespace

PatchMask mass_mask(const double* map, int64_t patches, double keep) {
  std::vector<int64_t> order(static_cast<std::size_t>(patches));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return map[a] > map[b]; });
  const double wanted = keep * std::accumulate(map, map + patches, 0.0);
  PatchMask out(static_cast<std::size_t>(patches), 0);
  double sum = 0;
  for (const int64_t i : order) {
    if (sum >= wanted) break;
    out[i] = 1;
    sum += map[i];
  }
  return out;
}

Segmentation segment(Model& model, const Image& picture, const SegmentOptions& options) {
  require(options.method == "ncut" || options.method == "attention", "the method is ncut or attention, came '{}'",
          options.method);
  const ModelInput input = input_for(model.config(), picture, options.size);
  const int64_t layer = options.layer < 0 ? usual_layer(model.config()) : options.layer;
  Segmentation out{input.rows, input.columns, {}};
  if (options.method == "ncut") {
    out.masks = find_objects(projections_of(model, input, layer), options.ncut);
    return out;
  }
  require(options.keep > 0 && options.keep <= 1, "the share of attention to keep lies in 0 .. 1, came {}",
          options.keep);
  const AttentionMaps maps = attention_of(model, input);
  require(layer < maps.layers, "the model has layers 0 to {}, none {}", maps.layers - 1, layer);
  for (int64_t h = 0; h < maps.heads; ++h)
    out.masks.push_back(mass_mask(maps.map(layer, h), maps.rows * maps.columns, options.keep));
  return out;
}

Image mask_image(const Segmentation& s, int height, int width) {
  Image out(height, width, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int64_t patch = patch_at(s, out, y, x);
      for (std::size_t m = 0; m < s.masks.size() && *out.at(y, x) == 0; ++m)
        if (s.masks[m][patch]) *out.at(y, x) = static_cast<uint8_t>(m + 1);
    }
  }
  return out;
}

bool has_objects(const Image& truth) {
  return std::any_of(truth.pixels.begin(), truth.pixels.end(), [](uint8_t t) { return t != 0 && t != ignored; });
}

SegmentScore score(const Segmentation& s, const Image& truth) {
  require(truth.channels == 1, "a mask has one channel, came {}", truth.channels);
  require(has_objects(truth), "the true mask holds no object");
  const Counts counts = counts_of(s, truth);
  PatchMask all(counts.size(), 0);
  for (const PatchMask& mask : s.masks)
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = all[i] | mask[i];
  SegmentScore out;
  out.foreground = iou(counts, all, 1, ignored - 1);
  std::array<bool, 256> there{};
  for (const uint8_t t : truth.pixels) there[t] = true;
  for (int t = 1; t < ignored; ++t) {
    if (!there[t]) continue;
    double best = 0;
    for (const PatchMask& mask : s.masks) best = std::max(best, iou(counts, mask, t, t));
    out.best += best;
    ++out.truths;
  }
  out.best /= static_cast<double>(out.truths);
  return out;
}

}  // namespace crate
