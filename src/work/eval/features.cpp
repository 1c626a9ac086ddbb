#include "work/eval/features.h"

#include <cmath>

#include "base/error.h"
#include "base/parallel.h"

namespace crate {

Features features_of(Device& device, const ModelConfig& config, const FeatureFunction& function, const ImageSet& set,
                     const ImageEvalOptions& options) {
  require(!set.classes().empty(), "{} has no labels to evaluate against; expected class folders or a list of labels",
          set.source());
  Features out;
  out.classes = static_cast<int64_t>(set.classes().size());
  for_each_batch(set, config, options, [&](const Tensor& images, const ImageBatch& batch) {
    Run run(device);
    const Tensor features = function(run, images);
    out.width = features.cols();
    for (int64_t i = 0; i < features.numel(); ++i)
      out.values.push_back(features.dtype == Dtype::f32 ? features.as<float>()[i]
                                                        : static_cast<float>(features.as<double>()[i]));
    out.labels.insert(out.labels.end(), batch.labels.begin(), batch.labels.end());
  });
  out.images = static_cast<int64_t>(out.labels.size());
  return out;
}

void scale_to_unit(Features& features) {
  parallel_for(features.images, 64, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      float* row = features.values.data() + i * features.width;
      double squares = 0;
      for (int64_t j = 0; j < features.width; ++j) squares += double{row[j]} * double{row[j]};
      const auto factor = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 0);
      for (int64_t j = 0; j < features.width; ++j) row[j] *= factor;
    }
  });
}

}  // namespace crate
