// image_tokens: what happens to images before the first block, in every model of images.
#pragma once
#include "model/blocks.h"
#include "ops/patches.h"

namespace crate {

/// The same numbers in the device's real dtype: x itself, or a copy of f32 numbers.
Tensor as_real(Run& run, const Tensor& x);

/// How this family cuts images.
PatchArgs patch_args(const ModelConfig& config);

/// Images (b, channels, height, width) to embedded patches (b, n, d), without positions. Throws Error when the images
/// do not fit the model.
Tensor embedded_patches(Run& run, const ModelConfig& config, ParameterStore& store, const Blocks& blocks,
                        const Tensor& images);

/// The positions (`name`: embed.pos or decoder.pos) for images of this height and width: the model's, or for another
/// grid than its own the learned ones resampled, the fixed ones from their formula; empty when the model has none.
Tensor positions_for(Run& run, const ModelConfig& config, ParameterStore& store, int64_t height, int64_t width,
                     const std::string& name = "embed.pos");

}  // namespace crate
