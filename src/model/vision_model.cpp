#include "model/vision_model.h"

#include "model/image_tokens.h"
#include "ops/add_positions.h"
#include "ops/dropout.h"
#include "ops/linear.h"
#include "ops/pool_tokens.h"

namespace crate {

VisionModel::VisionModel(Device& device, const ModelConfig& config)
    : Model(device, config), blocks_(this->config(), store(), "blocks.", false) {
  require(is_image(config.family) && !is_autoencoder(config.family), "[model] a {} does not classify images",
          name_of(config.family));
}

// timm's ViT norms all tokens and then reads the class token, but norms the mean when it pools; the others norm last.
bool VisionModel::norm_before_pooling() const {
  return config().family == Family::vit && config().image.pooling == Pooling::cls;
}

Tensor VisionModel::tokens(Run& run, const Tensor& images) {
  const Tensor x = embedded_patches(run, config(), store(), blocks_, images);
  Tensor z = add_positions(run, x,
                           {.first = blocks_.optional(run, "embed.cls"),
                            .positions = positions_for(run, config(), store(), images.shape[2], images.shape[3])});
  z = dropout(run, z, {.p = config().dropout, .site = 0});
  run.see({"embed."}, "out", z);
  for (int64_t i = 0; i < config().layers; ++i)
    z = next(run, z, [this, &run, i](const Tensor& in) { return blocks_.block(run, i, in); });
  return norm_before_pooling() ? blocks_.norm(run, "norm", z, config().last_norm_eps()) : z;
}

// The class token, or the mean: over all tokens as in CRATE's code, over the patches as in timm's.
Tensor VisionModel::pooled(Run& run, const Tensor& tokens) {
  if (config().image.pooling == Pooling::cls) return pool_tokens(run, tokens, {.from = 0, .to = 1});
  return pool_tokens(run, tokens, {.from = config().family == Family::vit && config().image.class_token ? 1 : 0});
}

Tensor VisionModel::features(Run& run, const Tensor& images) {
  if (run.may_part(images.shape[0])) {
    return run.each_apart(images, {images.shape[0], config().dim},
                          [this](Run& own, const Tensor& one) { return features(own, one); });
  }
  Tensor z = pooled(run, tokens(run, images));
  run.see({"head."}, "pooled", z);
  if (!norm_before_pooling()) z = blocks_.norm(run, "norm", z, config().last_norm_eps());
  run.see({"head."}, "in", z);
  return z;
}

Tensor VisionModel::head(Run& run, const Tensor& features) {
  require(config().image.classes > 0, "[model] this model has no classes to choose from: image.classes is 0");
  const Tensor logits = linear(
      run, features, {.weight = run.param(store().at("head.weight")), .bias = blocks_.optional(run, "head.bias")});
  run.see({"head."}, "logits", logits);
  return logits;
}

Tensor VisionModel::logits(Run& run, const Tensor& images) { return head(run, features(run, images)); }

ClassLoss VisionModel::loss(Run& run, const Tensor& images, const Tensor& targets, double weight) {
  return class_loss(run, logits(run, images), {.targets = as_real(run, targets), .weight = weight});
}

}  // namespace crate
