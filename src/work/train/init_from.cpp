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

}  // namespace

void init_from(Model& model, const std::string& folder) {
  const std::unique_ptr<Model> source = load_model(model.device(), folder);
  const ModelConfig &config = model.config(), &from = source->config();
  Run run(model.device());
  for (Param& p : model.store().all()) {
    const bool head = p.name.starts_with("head.");
    if (head && from.image.classes != config.image.classes) continue;
    require(source->store().has(p.name), "{} has no parameter {}; can the recipe's {} begin as that {}?", folder,
            p.name, name_of(config.family), name_of(from.family));
    if (p.name == "embed.pos" && is_image(config.family)) {
      const Tensor table = positions_for(run, from, source->store(), config.image.height, config.image.width);
      copy(table.reshaped(p.value.shape), p, folder);
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
