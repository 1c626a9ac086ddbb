// mae_model: a masked auto-encoder of images (He et al. 2021; CRATE-MAE: Pai et al. 2024).
//
//   x = embedded patches;  the patches with the largest noise are masked, M of n
//   crate-mae   z = [embed.cls; x, or decoder.mask where masked] + embed.pos    the encoder sees mask tokens
//               latent = norm(encoder blocks(z));   y = mirrored blocks(latent)
//   vit-mae     z = [embed.cls; x] + embed.pos without the masked ones          the encoder sees what is left
//               latent = norm(encoder blocks(z));   y = blocks(E latent + e, back in place, decoder.mask where masked,
//                                                              + decoder.pos)
//   pred = P norm'(y) + p for every patch, the class token left out;  loss as in ops/patch_loss
//
// Predictions and targets hold a patch's numbers in the order row, column, channel. Sites: embed.patches, embed.out,
// those of the blocks, encoder.out (latent), those of the decoder's blocks under decoder.blocks., decoder.norm.out,
// decoder.pred. Another size of image has other positions, as in vision_model.h.
#pragma once
#include "model/blocks.h"
#include "model/model.h"

namespace crate {

struct MaeOutput {
  Tensor pred;  // (b, n, numbers of a patch)
  Tensor loss;  // (1)
  Tensor mask;  // (b, n), 1 = masked
};

class MaeModel final : public Model {
 public:
  /// Throws Error when the configuration is not that of an auto-encoder.
  MaeModel(Device& device, const ModelConfig& config);

  // images f32 or real (b, channels, height, width), already normalised.

  /// noise f32 or real (b, n): the n - int(n (1 - mask_ratio)) patches with the largest numbers are masked. `weight`
  /// scales the gradient only.
  MaeOutput forward(Run& run, const Tensor& images, const Tensor& noise, double weight = 1);

  /// The encoder on whole images: (b, n + 1, d) after its norm, the class token first.
  Tensor tokens(Run& run, const Tensor& images);
  /// (b, d): the class token, or with image.pooling mean the mean over all tokens.
  Tensor features(Run& run, const Tensor& images);

  /// Pictures of predictions: where the mask is 1 what was predicted, elsewhere what was seen; with norm_pix the
  /// predictions get the mean and deviation of the true patches. Like the images, real.
  Tensor pictures(Run& run, const Tensor& images, const MaeOutput& out);

  /// The encoder's.
  const Blocks& blocks() const { return blocks_; }

 private:
  Tensor encode(Run& run, const Tensor& z);
  Tensor decode(Run& run, const Tensor& latent, const Tensor& images, const Tensor& restore);

  Blocks blocks_;
  ModelConfig decoder_config_;
  Blocks decoder_;
};

}  // namespace crate
