#include "work/image/mix.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace crate {
namespace {

/// A rectangle of the share 1 - stay around a random point, cut at the border.
Mix cut_box(double stay, int height, int width, Draws& draws) {
  const double half = 0.5 * std::sqrt(1 - stay);
  const int y = draws.below(height), x = draws.below(width);
  const int half_h = static_cast<int>(half * height), half_w = static_cast<int>(half * width);
  const int top = std::max(0, y - half_h), bottom = std::min(height, y + half_h);
  const int left = std::max(0, x - half_w), right = std::min(width, x + half_w);
  const double area = static_cast<double>(bottom - top) * (right - left);
  return {1 - area / (static_cast<double>(height) * width), {top, left, bottom - top, right - left}};
}

}  // namespace

Mix choose_mix(const AugmentOptions& o, Draws& draws) {
  if ((o.mixup <= 0 && o.cutmix <= 0) || !draws.chance(o.mix)) return {};
  const bool cuts = o.cutmix > 0 && (o.mixup <= 0 || draws.chance(o.mix_switch));
  const double alpha = cuts ? o.cutmix : o.mixup;
  const double stay = draws.beta(alpha, alpha);
  return cuts ? cut_box(stay, o.height, o.width, draws) : Mix{stay, {}};
}

void mix_images(const Mix& mix, int64_t batch, int channels, int height, int width, std::vector<float>& images) {
  if (mix.stay >= 1 || batch < 2) return;
  const auto plane = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  const std::size_t n = plane * static_cast<std::size_t>(channels), b = static_cast<std::size_t>(batch);
  require(images.size() >= n * b, "[mix] {} numbers are no batch of {} images of {}", images.size(), b, n);
  const float* end = images.data() + n * b;
  const std::vector<float> last(end - n, end);
  const auto stay = static_cast<float>(mix.stay);
  // From the end, so that the partner of each is still unmixed.
  for (std::size_t i = b; i-- > 0;) {
    float* to = images.data() + i * n;
    const float* from = i > 0 ? to - n : last.data();
    if (!mix.cuts()) {
      for (std::size_t j = 0; j < n; ++j) to[j] = stay * to[j] + (1 - stay) * from[j];
      continue;
    }
    for (int c = 0; c < channels; ++c) {
      for (int y = 0; y < mix.box.height; ++y) {
        const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(c) * height + mix.box.top + y) * width + mix.box.left;
        std::copy_n(from + at, mix.box.width, to + at);
      }
    }
  }
}

void mix_targets(const Mix& mix, const std::vector<int32_t>& labels, int classes, double label_smoothing,
                 std::vector<float>& targets) {
  const auto k = static_cast<std::size_t>(classes), b = labels.size();
  const auto rest = static_cast<float>(label_smoothing / classes), own = static_cast<float>(1 - label_smoothing);
  const auto stay = static_cast<float>(mix.stay);
  targets.assign(b * k, rest);
  for (std::size_t i = 0; i < b; ++i) {
    const int32_t mine = labels[i], other = labels[(i + b - 1) % b];
    require(mine >= 0 && mine < classes, "[mix] label {} is outside the {} classes", mine, classes);
    targets[i * k + static_cast<std::size_t>(mine)] += stay * own;
    targets[i * k + static_cast<std::size_t>(other)] += (1 - stay) * own;
  }
}

}  // namespace crate
