// mix: pairs of images of one batch made one, and their labels with them.
//   mixup (Zhang et al. 2018):  x = l x_i + (1 - l) x_j,  l from Beta(a, a)
//   cutmix (Yun et al. 2019):   a rectangle of x_i of about the share 1 - l comes from x_j; then l is the share that
//   stayed
// One l for the batch, j the sample before i (the last for the first), as torchvision pairs them. The targets become
//   y = l s_i + (1 - l) s_j,   s = (1 - e) onehot + e / classes,  e the label smoothing.
#pragma once
#include <vector>

#include "work/image/augment.h"
#include "work/image/draws.h"

namespace crate {

/// How one batch is mixed.
struct Mix {
  double stay = 1;  // l
  Box box = {};     // cutmix: what comes from the other; none: mixup
  bool cuts() const { return box.height > 0 && box.width > 0; }
};

/// What the options and the draws say for a batch; stay = 1 when it is not mixed.
Mix choose_mix(const AugmentOptions& options, Draws& draws);

/// Mixes images (b, c, h, w) in place.
void mix_images(const Mix& mix, int64_t batch, int channels, int height, int width, std::vector<float>& images);

/// Soft targets (b, classes); every label below `classes`.
void mix_targets(const Mix& mix, const std::vector<int32_t>& labels, int classes, double label_smoothing,
                 std::vector<float>& targets);

}  // namespace crate
