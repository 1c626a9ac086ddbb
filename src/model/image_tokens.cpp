#include "model/image_tokens.h"

#include "model/sincos.h"
#include "ops/linear.h"
#include "ops/resample_positions.h"

namespace crate {

Tensor as_real(Run& run, const Tensor& x) {
  if (x.dtype == run.real()) return x;
  const float* from = x.as<float>();
  const Tensor out = run.make(x.shape);
  visit_ref(out.dtype, [&](auto zero) { std::copy_n(from, x.numel(), out.as<decltype(zero)>()); });
  return {out.data, out.shape, out.dtype, -1};
}

PatchArgs patch_args(const ModelConfig& config) {
  return {config.image.patch, config.image.patch_columns(),
          config.image.patch_norm ? PatchOrder::row_column_channel : PatchOrder::channel_row_column};
}

Tensor embedded_patches(Run& run, const ModelConfig& config, ParameterStore& store, const Blocks& blocks,
                        const Tensor& images) {
  require(images.shape.rank() == 4 && images.shape[1] == config.image.channels,
          "[model] images must be (b, {}, height, width), came {}", config.image.channels, images.shape.str());
  Tensor x = patches(run, as_real(run, images), patch_args(config));
  if (config.image.patch_norm) x = blocks.norm(run, "embed.patch_norm", x, config.norm_eps, true);
  x = linear(run, x, {.weight = run.param(store.at("embed.patch")), .bias = blocks.optional(run, "embed.patch_bias")});
  if (config.image.patch_norm) x = blocks.norm(run, "embed.norm", x, config.norm_eps);
  run.see({"embed."}, "patches", x);
  return x;
}

Tensor positions_for(Run& run, const ModelConfig& config, ParameterStore& store, int64_t height, int64_t width,
                     const std::string& name) {
  const ImageConfig& image = config.image;
  if (image.positions == Positions::none) return {};
  const Grid own{image.rows(), image.columns()};
  const Grid wanted{height / image.patch, width / image.patch_columns()};
  Param& table = store.at(name);
  if (image.positions == Positions::learned) {
    const Tensor positions = run.param(table);
    if (own == wanted) return positions;
    return resample_positions(run, positions, {.from = own, .to = wanted, .before = image.class_token ? 1 : 0});
  }
  if (own == wanted) return table.value;
  const int64_t before = image.class_token ? 1 : 0;
  const Tensor positions = run.constant({before + wanted.rows * wanted.columns, table.value.cols()}, 0);
  write_sincos(positions, wanted.rows, wanted.columns);
  return positions;
}

}  // namespace crate
