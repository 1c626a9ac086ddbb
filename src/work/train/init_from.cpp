#include "work/train/init_from.h"

#include <algorithm>

#include "base/error.h"
#include "model/image_tokens.h"
#include "tensor/gemm.h"

namespace crate {
namespace {

void copy(const Tensor& from, Param& to, const std::string& folder) {
  require(from.shape == to.value.shape, "{}: parameter {} is {} there, the recipe's model has {}", folder, to.name,
          from.shape.str(), to.value.shape.str());
  std::copy_n(static_cast<const uint8_t*>(from.data), from.bytes(), static_cast<uint8_t*>(to.value.data));
}

// The same products of pixels for a family that reads a patch's numbers in another order.
void copy_patches(const Tensor& from, const ModelConfig& was, Param& to, const ModelConfig& is) {
  const ImageConfig& image = is.image;
  const int64_t p = image.patch, q = image.patch_columns(), c = image.channels, n = image.patch_numbers();
  const auto place = [&](PatchOrder order, int64_t row, int64_t column, int64_t channel) {
    return order == PatchOrder::row_column_channel ? (row * q + column) * c + channel
                                                   : (channel * p + row) * q + column;
  };
  const std::size_t size = size_of(from.dtype);
  const auto* read = static_cast<const uint8_t*>(from.data);
  auto* write = static_cast<uint8_t*>(to.value.data);
  for (int64_t i = 0; i < from.numel(); ++i) {
    const int64_t d = i / n, row = i % n / (q * c), column = i % n / c % q, channel = i % c;
    const auto source = static_cast<std::size_t>(d * n + place(patch_args(was).order, row, column, channel));
    const auto target = static_cast<std::size_t>(d * n + place(patch_args(is).order, row, column, channel));
    std::copy_n(read + source * size, size, write + target * size);
  }
}

bool is_norm_of_patches(const std::string& name) {
  return name.starts_with("embed.patch_norm.") || name.starts_with("embed.norm.");
}

}  // namespace

void init_from(Model& model, const std::string& folder) {
  const std::unique_ptr<Model> source = load_model(model.device(), folder);
  const ModelConfig &config = model.config(), &from = source->config();
  Run run(model.device());
  for (Param& p : model.store().all()) {
    const bool head = p.name.starts_with("head.");
    if (head && from.image.classes != config.image.classes) continue;
    if (is_fixed(config, p.name) || (is_autoencoder(from.family) && is_norm_of_patches(p.name))) continue;
    require(source->store().has(p.name), "{} has no parameter {}; can the recipe's {} begin as that {}?", folder,
            p.name, name_of(config.family), name_of(from.family));
    if (p.name == "embed.pos" && is_image(config.family)) {
      const Tensor table = positions_for(run, from, source->store(), config.image.height, config.image.width, p.name);
      copy(table.reshaped(p.value.shape), p, folder);
    } else if (p.name == "embed.patch" && p.value.shape == source->store().at(p.name).value.shape) {
      copy_patches(source->store().at(p.name).value, from, p, config);
    } else {
      copy(source->store().at(p.name).value, p, folder);
    }
  }
  model.store().values_changed();
}

void resume_model(Model& model, const DirectoryReader& directory) {
  require(to_json(load_config(directory.folder())) == to_json(model.config()),
          "{} holds another model than the recipe describes; give another --out", directory.folder());
  const std::string weights = directory.path("model.safetensors");
  fill_parameters(model, read_safetensors(weights).tensors, weights);
}

}  // namespace crate
