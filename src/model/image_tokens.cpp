#include "model/image_tokens.h"

#include "ops/linear.h"

namespace crate {

Tensor as_real(Run& run, const Tensor& x) {
  if (x.dtype == run.real()) return x;
  const float* from = x.as<float>();
  const Tensor out = run.make(x.shape);
  visit_ref(out.dtype, [&](auto zero) { std::copy_n(from, x.numel(), out.as<decltype(zero)>()); });
  return {out.data, out.shape, out.dtype, -1};
}

PatchArgs patch_args(const ModelConfig& config) {
  const bool channels_last = config.family == Family::crate;
  return {config.image.patch, config.image.patch_columns(),
          channels_last ? PatchOrder::row_column_channel : PatchOrder::channel_row_column};
}

Tensor embedded_patches(Run& run, const ModelConfig& config, ParameterStore& store, const Blocks& blocks,
                        const Tensor& images) {
  require(images.shape.rank() == 4 && images.shape[1] == config.image.channels,
          "[model] images must be (b, {}, height, width), came {}", config.image.channels, images.shape.str());
  Tensor x = patches(run, as_real(run, images), patch_args(config));
  if (config.family == Family::crate) x = blocks.norm(run, "embed.patch_norm", x, config.norm_eps);
  x = linear(run, x, {.weight = run.param(store.at("embed.patch")), .bias = blocks.optional(run, "embed.patch_bias")});
  if (config.family == Family::crate) x = blocks.norm(run, "embed.norm", x, config.norm_eps);
  run.see({"embed."}, "patches", x);
  return x;
}

Tensor positions_for(Run& run, const ModelConfig& config, ParameterStore& store, int64_t height, int64_t width) {
  if (config.image.positions == Positions::none) return {};
  Param& table = store.at("embed.pos");
  const Tensor own = config.image.positions == Positions::learned ? run.param(table) : table.value;
  require(height == config.image.height && width == config.image.width,
          "[model] this model reads images of {} x {}, came {} x {}", config.image.height, config.image.width, height,
          width);
  return own;
}

}  // namespace crate
