// evaluate_images: how well a classifier names the images of a set: mean cross-entropy in nats, and how often the right
// class is the first, or among the first five, of its answers. Equal answers count in the order of the classes.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "model/vision_model.h"
#include "work/image/loader.h"

namespace crate {

/// What of an image a model of this configuration looks at: the short side scaled to 256 and the middle 224 cut out at
/// the authors' size, in that proportion from 128 pixels on; smaller images are only made to fit.
EvalTransform transform_for(const ModelConfig& config);
Normalisation normalisation_for(const ModelConfig& config);

struct ImageEvalOptions {
  EvalTransform transform;
  int64_t batch = 64;
  int64_t max_images = 0;  // so many, spread evenly over the set; 0: all
  int threads = 0;         // of the loader; 0: one a core
  bool sparsity = true;    // count non-zero codes
  std::function<void(int64_t done, int64_t total)> progress = {};
};

struct ImageEvalResult {
  double loss = 0, top1 = 0, top5 = 0;
  int64_t images = 0;
  double seconds = 0, images_per_second = 0;
  double waiting = 0;                // share of the time in which the model waited for images
  std::vector<double> code_nonzero;  // a layer: fraction of non-zero codes (twins: of positive hidden units)
  double mean_nonzero() const;
};

/// Throws Error when the set is empty, has no labels or other classes than the model, or an image is damaged.
ImageEvalResult evaluate_images(VisionModel& model, const ImageSet& set, const ImageEvalOptions& options);

/// So many images of a set, spread evenly over it.
class SpreadSubset final : public ImageSet {
 public:
  /// The set must outlive it. 0, or more than there are: all of them.
  SpreadSubset(const ImageSet& set, int64_t images)
      : ImageSet(set.source(), set.classes()),
        set_(set),
        size_(images > 0 && images < set.size() ? images : set.size()) {}
  int64_t size() const override { return size_; }
  int label(int64_t i) const override { return set_.label(at(i)); }
  std::string name(int64_t i) const override { return set_.name(at(i)); }
  Image decode(int64_t i) const override { return set_.decode(at(i)); }
  std::optional<Image> mask(int64_t i) const override { return set_.mask(at(i)); }
  bool in_memory() const override { return set_.in_memory(); }

 private:
  int64_t at(int64_t i) const { return i * set_.size() / size_; }
  const ImageSet& set_;
  int64_t size_;
};

/// Walks a set once in order, as it is measured: f(images (b, c, h, w) f32, batch). Gives the seconds spent waiting.
double for_each_batch(const ImageSet& set, const ModelConfig& config, const ImageEvalOptions& options,
                      const std::function<void(const Tensor& images, const ImageBatch& batch)>& f);

}  // namespace crate
