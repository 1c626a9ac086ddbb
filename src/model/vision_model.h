// vision_model: a classifier of images of any family here, as a short list of operators.
//
//   x = patches of the image (n, c r s), in the authors' order
//   z = [embed.cls; E x + e] + embed.pos                 crate: E norm(x) normed again, before the class token
//   blocks as in blocks.h, every token seeing every other
//   head.in = norm(pooled z)      the class token, or the mean over tokens (vit: over patches, cls after the norm)
//   logits = H head.in + h
//
// Positions belong to a grid; for an image of another size they are resampled (ops/resample_positions). Sites, in the
// order in which they come: embed.patches (b, n, d), embed.out (b, n [+ 1], d), those of the blocks, head.pooled (b,
// d), head.in (b, d), head.logits (b, classes).
#pragma once
#include "model/blocks.h"
#include "model/model.h"
#include "ops/class_loss.h"

namespace crate {

class VisionModel final : public Model {
 public:
  /// Throws Error when the configuration is not that of a classifier of images.
  VisionModel(Device& device, const ModelConfig& config);

  // images f32 or real (b, channels, height, width), already normalised; height and width multiples of the patch.

  /// (b, n [+ 1], d) after the last block, the class token first; after the final norm where the family norms before it
  /// pools.
  Tensor tokens(Run& run, const Tensor& images);
  /// head.in (b, d).
  Tensor features(Run& run, const Tensor& images);
  /// (b, d) to (b, classes). Throws Error when the model has no head.
  Tensor head(Run& run, const Tensor& features);
  /// (b, classes).
  Tensor logits(Run& run, const Tensor& images);
  /// Mean cross-entropy against soft targets (b, classes), f32 or real. `weight` scales the gradient only.
  ClassLoss loss(Run& run, const Tensor& images, const Tensor& targets, double weight = 1);

  const Blocks& blocks() const { return blocks_; }

 private:
  bool norm_before_pooling() const;
  Tensor pooled(Run& run, const Tensor& tokens);

  Blocks blocks_;
};

}  // namespace crate
