// features: what a model makes of every image of a set, as rows of a matrix: for k-NN evaluation and linear probes.
#pragma once
#include <functional>
#include <vector>

#include "work/eval/evaluate_images.h"

namespace crate {

struct Features {
  int64_t images = 0, width = 0;
  std::vector<float> values;    // (images, width)
  std::vector<int32_t> labels;  // (images)
  int64_t classes = 0;
  const float* row(int64_t i) const { return values.data() + i * width; }
};

/// Images (b, c, h, w) to features (b, width).
using FeatureFunction = std::function<Tensor(Run&, const Tensor&)>;

/// Throws Error when the set has no labels or an image is damaged.
Features features_of(Device& device, const ModelConfig& config, const FeatureFunction& function, const ImageSet& set,
                     const ImageEvalOptions& options);

/// Rows scaled to length 1; rows of zeros stay.
void scale_to_unit(Features& features);

}  // namespace crate
