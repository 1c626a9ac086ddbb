#include "model/import.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/files/weights.h"
#include "model/names.h"
#include "model/official.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> wrappers = {"module.", "_orig_mod.", "param/"};
constexpr const char *wte = "transformer.wte.weight", *lm_head = "lm_head.weight";

// What a file says about itself: {"family": ..., "config": {...}} as metadata of safetensors, or nanoGPT's model_args.
void read_what_it_says(OfficialModel& source, const std::string& plain) {
  const json said = json::parse(plain, nullptr, false);
  if (!said.is_object()) return;
  if (said.contains("family") && said["family"].is_string()) {
    const std::string family = said["family"].get<std::string>();
    if (is_family(family)) source.family = family;
  }
  json config = said.contains("model_args") ? said["model_args"] : json();
  if (said.contains("config") && said["config"].is_string())
    config = json::parse(said["config"].get_ref<const std::string&>(), nullptr, false);
  if (!config.is_object()) return;
  for (const auto& [key, value] : config.items()) {
    if (is_official_setting(key))
      source.config[key] = value.dump();
    else
      source.notes.push_back(fmt::format("ignored what the file says of {}: {}", key, value.dump()));
  }
}

std::string unwrapped(std::string name) {
  for (bool again = true; again;) {
    again = false;
    for (std::string_view prefix : wrappers) {
      if (!name.starts_with(prefix)) continue;
      name.erase(0, prefix.size());
      again = true;
    }
  }
  return name;
}

bool is_mask(const std::string& name, const Array& a) {
  return (name.ends_with(".attn.bias") && a.shape.size() == 4) || name.ends_with(".attn.masked_bias");
}

// The authors' heads are their token embeddings. Either name may hold the one tensor.
void settle_head(OfficialModel& source) {
  const auto head = source.tensors.find(lm_head), table = source.tensors.find(wte);
  if (head == source.tensors.end()) return;
  if (table == source.tensors.end()) {
    auto node = source.tensors.extract(head);
    node.key() = wte;
    source.tensors.insert(std::move(node));
    return;
  }
  if (head->second.shape == table->second.shape && head->second.to_f32() == table->second.to_f32()) {
    source.tensors.erase(head);
    return;
  }
  source.notes.push_back(fmt::format("{} differs from {}: the head was imported untied", lm_head, wte));
}

// The authors' auto-encoder carries parameters that take no part: a second position table and a product.
void drop_idle(OfficialModel& source) {
  for (const char* name : {"pos_embed", "decoder_embed.weight", "decoder_embed.bias"}) {
    if (source.tensors.erase(name) > 0) source.notes.push_back(fmt::format("{} takes no part: left out", name));
  }
}

// timm calls the last norm of a ViT by another name when it pools the mean.
void settle_pooling(OfficialModel& source) {
  for (const char* part : {".weight", ".bias"}) {
    auto node = source.tensors.extract(std::string("fc_norm") + part);
    if (node.empty()) continue;
    node.key() = std::string("norm") + part;
    require(source.tensors.insert(std::move(node)).inserted, "{} holds both norm and fc_norm", source.path);
    source.config.try_emplace("pool", "\"mean\"");
  }
}

void rename(OfficialModel& source, Family family) {
  ArrayMap renamed;
  std::vector<std::string> strangers;
  for (auto& [name, array] : source.tensors) {
    const std::string ours = our_name(family, name);
    if (ours.empty())
      strangers.push_back(name);
    else
      renamed.emplace(ours, std::move(array));
  }
  require(strangers.empty(), "{} holds tensors that a {} does not have: {}; is --family right?", source.path,
          name_of(family), listed(strangers));
  source.tensors = std::move(renamed);
}

void check_complete(const OfficialModel& source, const ModelConfig& config) {
  std::vector<std::string> missing, wrong;
  for (const auto& [name, shape, decay] : parameter_shapes(config)) {
    const std::string official = official_name(config.family, name);
    const Array expected{FileDtype::f32, official_shape(config, name, shape), {}, {}};
    const auto it = source.tensors.find(name);
    if (it == source.tensors.end())
      missing.push_back(official);
    else if (it->second.shape != expected.shape)
      wrong.push_back(fmt::format("{} must be {}, came {}", official, expected.shape_str(), it->second.shape_str()));
  }
  require(missing.empty(), "{} misses {}; is --family right?", source.path, listed(missing));
  require(wrong.empty(), "{}: {}", source.path, listed(wrong));
}

void to_our_layout(OfficialModel& source, const ModelConfig& config) {
  for (const auto& [name, shape, decay] : parameter_shapes(config)) {
    Array& array = source.tensors.at(name);
    if (layout_of(config.family, name) == Layout::transposed) {
      const std::size_t element = size_of(array.dtype);
      array = make_array(array.dtype, array.shape, transposed(array.bytes, array.shape[0], array.shape[1], element));
    }
    array.shape.clear();
    for (int i = 0; i < shape.rank(); ++i) array.shape.push_back(shape[i]);
  }
}

}  // namespace

OfficialModel read_official(const std::string& path) {
  OfficialModel source{path, {}, {}, {}, {}};
  Weights weights = load_weights(path);
  read_what_it_says(source, weights.plain);
  const bool reference = std::any_of(weights.tensors.begin(), weights.tensors.end(),
                                     [](const auto& t) { return t.first.starts_with("param/"); });
  std::size_t masks = 0;
  for (auto& [name, array] : weights.tensors) {
    if (reference && !name.starts_with("param/")) continue;  // inputs and results
    const std::string plain = unwrapped(name);
    if (is_mask(plain, array)) {
      ++masks;
      continue;
    }
    require(source.tensors.emplace(plain, std::move(array)).second, "{} holds {} twice", path, plain);
  }
  require(!source.tensors.empty(), "{} holds no weights", path);
  if (masks > 0) source.notes.push_back(fmt::format("skipped {} constant attention masks", masks));
  return source;
}

std::unique_ptr<Model> import_model(Device& device, Family family, OfficialModel source) {
  if (!source.family.empty() && family_of(source.family) != family) {
    fail("{} says that it holds a {}, not a {}; give --family {}", source.path, source.family, name_of(family),
         name_of(family_of(source.family)));
  }
  if (!is_image(family)) settle_head(source);
  if (family == Family::crate_mae) drop_idle(source);
  if (family == Family::vit) settle_pooling(source);
  rename(source, family);
  const ModelConfig config = is_image(family) ? image_config(source, family) : text_config(source, family);
  check_complete(source, config);
  to_our_layout(source, config);
  auto model = make_model(device, config);
  fill_parameters(*model, source.tensors, source.path);
  return model;
}

}  // namespace crate
