#include "model/mae_model.h"

#include <algorithm>
#include <numeric>

#include "model/image_tokens.h"
#include "ops/add_positions.h"
#include "ops/dropout.h"
#include "ops/linear.h"
#include "ops/patch_loss.h"
#include "ops/pick_tokens.h"
#include "ops/pool_tokens.h"

namespace crate {
namespace {

double value_of(const Tensor& t, int64_t i) {
  if (t.dtype == Dtype::f32) return t.as<float>()[i];
  double out = 0;
  visit_ref(t.dtype, [&](auto zero) { out = re(t.as<decltype(zero)>()[i]); });
  return out;
}

void put(const Tensor& t, int64_t i, double value) {
  if (t.dtype == Dtype::f32)
    t.as<float>()[i] = static_cast<float>(value);
  else
    visit_ref(t.dtype, [&](auto zero) { t.as<decltype(zero)>()[i] = value; });
}

// What becomes of the patches of a batch. Indices count patches, or tokens when there is one before them.
struct Masking {
  Tensor mask;      // (b, n), 1 = masked
  Tensor in_place;  // (b, n): i, or -1 where masked
  Tensor kept;      // (b, 1 + k): token 0 and the k patches that are seen, in the order of their noise
  Tensor restore;   // (b, 1 + n): where token i stands in `kept`, or -1
};

Masking masking(Run& run, const Tensor& noise, int64_t keep) {
  const int64_t b = noise.rows(), n = noise.cols();
  const Masking out{run.constant({b, n}, 1), run.make({b, n}, Dtype::i32), run.make({b, 1 + keep}, Dtype::i32),
                    run.make({b, 1 + n}, Dtype::i32)};
  int32_t *in_place = out.in_place.as<int32_t>(), *kept = out.kept.as<int32_t>(), *restore = out.restore.as<int32_t>();
  std::fill_n(in_place, b * n, -1);
  std::fill_n(restore, b * (1 + n), -1);
  std::vector<int32_t> order(static_cast<std::size_t>(n));
  for (int64_t i = 0; i < b; ++i) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t x, int32_t y) { return value_of(noise, i * n + x) < value_of(noise, i * n + y); });
    kept[i * (1 + keep)] = restore[i * (1 + n)] = 0;
    for (int64_t k = 0; k < keep; ++k) {
      const int32_t patch = order[static_cast<std::size_t>(k)];
      put(out.mask, i * n + patch, 0);
      in_place[i * n + patch] = patch;
      kept[i * (1 + keep) + 1 + k] = patch + 1;
      restore[i * (1 + n) + 1 + patch] = static_cast<int32_t>(k + 1);
    }
  }
  return out;
}

PatchArgs target_args(const ModelConfig& config) {
  return {config.image.patch, config.image.patch_columns(), PatchOrder::row_column_channel};
}

}  // namespace

MaeModel::MaeModel(Device& device, const ModelConfig& config)
    : Model(device, config),
      blocks_(this->config(), store(), "blocks.", false),
      decoder_config_(decoder_of(config)),
      decoder_(decoder_config_, store(), "decoder.blocks.", false) {
  require(is_autoencoder(config.family), "[model] a {} is no auto-encoder", name_of(config.family));
}

Tensor MaeModel::encode(Run& run, const Tensor& in) {
  Tensor z = dropout(run, in, {.p = config().dropout, .site = 0});
  run.see({"embed."}, "out", z);
  for (int64_t i = 0; i < config().layers; ++i)
    z = next(run, z, [this, &run, i](const Tensor& x) { return blocks_.block(run, i, x); });
  z = blocks_.norm(run, "norm", z, config().last_norm_eps());
  run.see({"encoder."}, "out", z);
  return z;
}

// `restore` puts the tokens of a vit-mae back into place.
Tensor MaeModel::decode(Run& run, const Tensor& latent, const Tensor& images, const Tensor& restore) {
  const bool mirrored = config().family == Family::crate_mae;
  Tensor y = latent;
  if (!mirrored) {
    y = linear(run, y,
               {.weight = run.param(store().at("decoder.embed")), .bias = blocks_.optional(run, "decoder.embed_bias")});
    y = pick_tokens(run, y, {.index = restore, .fill = run.param(store().at("decoder.mask"))});
    y = add_positions(
        run, y, {.positions = positions_for(run, config(), store(), images.shape[2], images.shape[3], "decoder.pos")});
  }
  for (int64_t i = 0; i < decoder_config_.layers; ++i) {
    y = next(run, y, [this, &run, i, mirrored](const Tensor& x) {
      return mirrored ? decoder_.mirrored_block(run, i, x) : decoder_.block(run, i, x);
    });
  }
  y = decoder_.norm(run, "decoder.norm", y, config().last_norm_eps());
  run.see({"decoder."}, "norm.out", y);
  return y;
}

MaeOutput MaeModel::forward(Run& run, const Tensor& images, const Tensor& noise, double weight) {
  const bool mirrored = config().family == Family::crate_mae;
  Tensor x = embedded_patches(run, config(), store(), blocks_, images);
  const int64_t b = x.shape[0], n = x.shape[1], d = decoder_config_.dim;
  require(noise.shape == Shape({b, n}), "[model] noise must be ({}, {}), one number a patch, came {}", b, n,
          noise.shape.str());
  const Masking masks = masking(run, noise, config().image.kept(n));
  if (mirrored) x = pick_tokens(run, x, {.index = masks.in_place, .fill = run.param(store().at("decoder.mask"))});
  Tensor z = add_positions(run, x,
                           {.first = run.param(store().at("embed.cls")),
                            .positions = positions_for(run, config(), store(), images.shape[2], images.shape[3])});
  if (!mirrored) z = pick_tokens(run, z, {.index = masks.kept});
  const Tensor y = decode(run, encode(run, z), images, masks.restore);
  // The class token is left out before the product: every row of it is a patch.
  const Tensor patches_only = run.make({b, n}, Dtype::i32);
  for (int64_t i = 0; i < b * n; ++i) patches_only.as<int32_t>()[i] = static_cast<int32_t>(i % n + 1);
  require(y.shape == Shape({b, n + 1, d}), "[model] the decoder gave {}", y.shape.str());
  const Tensor pred =
      linear(run, pick_tokens(run, y, {.index = patches_only}),
             {.weight = run.param(store().at("decoder.pred")), .bias = blocks_.optional(run, "decoder.pred_bias")});
  run.see({"decoder."}, "pred", pred);
  const Tensor target = patches(run, as_real(run, images), target_args(config()));
  const Tensor loss = patch_loss(
      run, pred, {.target = target, .mask = masks.mask, .norm_pix = config().image.norm_pix, .weight = weight});
  return {pred, loss, masks.mask};
}

Tensor MaeModel::tokens(Run& run, const Tensor& images) {
  const Tensor x = embedded_patches(run, config(), store(), blocks_, images);
  return encode(run,
                add_positions(run, x,
                              {.first = run.param(store().at("embed.cls")),
                               .positions = positions_for(run, config(), store(), images.shape[2], images.shape[3])}));
}

Tensor MaeModel::features(Run& run, const Tensor& images) {
  const Tensor out =
      pool_tokens(run, tokens(run, images), {.from = 0, .to = config().image.pooling == Pooling::cls ? 1 : 0});
  run.see({"head."}, "in", out);
  return out;
}

Tensor MaeModel::pictures(Run& run, const Tensor& images, const MaeOutput& out) {
  const Tensor real = as_real(run, images), rows = patches(run, real, target_args(config()));
  const int64_t l = rows.cols();
  for (int64_t i = 0; i < rows.rows(); ++i) {
    if (value_of(out.mask, i) == 0) continue;
    double mean = 0, squares = 0, deviation = 1;
    for (int64_t j = 0; j < l; ++j) mean += value_of(rows, i * l + j) / static_cast<double>(l);
    for (int64_t j = 0; j < l; ++j) squares += std::pow(value_of(rows, i * l + j) - mean, 2);
    if (config().image.norm_pix)
      deviation = std::sqrt(squares / static_cast<double>(l - 1) + norm_pix_eps);
    else
      mean = 0;
    for (int64_t j = 0; j < l; ++j) put(rows, i * l + j, mean + deviation * value_of(out.pred, i * l + j));
  }
  return unpatches(run, rows, real.shape[1], real.shape[2], real.shape[3], target_args(config()));
}

}  // namespace crate
