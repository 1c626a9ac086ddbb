#include "model/import.h"

#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/files/pytorch.h"
#include "model/files/weights.h"
#include "model/names.h"

namespace crate {
namespace {

using nlohmann::json;

// A fixture keeps weights under param/; anything else in it is no weight.
ArrayMap parameters_among(ArrayMap all) {
  ArrayMap params;
  for (auto& [name, array] : all) {
    if (name.starts_with("param/")) params.emplace(name.substr(6), array);
  }
  return params.empty() ? std::move(all) : params;
}

void take_config(const json& from, OfficialConfig& to) {
  if (!from.is_object()) return;
  for (const auto& [key, value] : from.items()) {
    if (!value.is_null()) to[key] = value.dump();
  }
}

// A hyper-parameter, or nothing: numbers, lists and booleans as JSON.
json given(const OfficialConfig& config, const char* key) {
  const auto it = config.find(key);
  if (it == config.end()) return nullptr;
  json value = json::parse(it->second, nullptr, false);
  require(!value.is_discarded() && !value.is_string(), "[import] {} must be a number, a list or true/false, came '{}'",
          key, it->second);
  return value;
}

const Array& needed(const ArrayMap& tensors, const std::string& name) {
  const auto it = tensors.find(name);
  require(it != tensors.end(), "[import] no tensor {}; does the file belong to this family?", name);
  return it->second;
}

int64_t from_shape(const OfficialConfig& config, const char* key, int64_t shape) {
  const json value = given(config, key);
  require(value.is_null() || value == json(shape), "[import] {} is given as {}, the tensors say {}", key, value.dump(),
          shape);
  return shape;
}

int64_t count_layers(const ArrayMap& tensors) {
  int64_t n = 0;
  while (tensors.contains(fmt::format("transformer.h.{}.attn.c_attn.weight", n))) ++n;
  return n;
}

std::vector<double> numbers(const json& value, const char* key) {
  if (value.is_number()) return {value.get<double>()};
  require(value.is_array(), "[import] {} must be a number or a list, came {}", key, value.dump());
  return value.get<std::vector<double>>();
}

ModelConfig config_from(Family family, const OfficialModel& source) {
  const ArrayMap& t = source.tensors;
  const Array &tokens = needed(t, "transformer.wte.weight"), &positions = needed(t, "transformer.wpe.weight");
  require(tokens.shape.size() == 2 && positions.shape.size() == 2, "[import] the embeddings must be matrices");
  ModelConfig c;
  c.family = family;
  c.vocab = from_shape(source.config, "vocab_size", tokens.shape[0]);
  c.dim = from_shape(source.config, "n_embd", tokens.shape[1]);
  c.context = from_shape(source.config, "block_size", positions.shape[0]);
  c.layers = from_shape(source.config, "n_layer", count_layers(t));
  const json heads = given(source.config, "n_head");
  require(heads.is_number_integer(), "[import] the number of heads cannot be told from the tensors; give n_head=...");
  c.heads = heads.get<int64_t>();
  if (const json v = given(source.config, "ln_eps"); !v.is_null()) c.norm_eps = v.get<double>();
  if (const json v = given(source.config, "eta"); !v.is_null()) c.eta = numbers(v, "eta");
  if (const json v = given(source.config, "lambda"); !v.is_null()) c.lambda = numbers(v, "lambda");
  if (family == Family::crate_lm) c.atoms = needed(t, "transformer.h.0.ista.weight").shape.at(0);
  if (!is_white_box(family)) {
    c.atoms = needed(t, "transformer.h.0.mlp.c_fc.weight").shape.at(0);
    c.bias = t.contains("transformer.h.0.mlp.c_fc.bias");
    c.layer_scale = t.contains("transformer.h.0.gamma1");
  }
  c.validate();
  return c;
}

ArrayMap under_our_names(const LanguageModel& model, ArrayMap official) {
  ArrayMap ours;
  std::string missing, unknown;
  for (const Param& p : model.store().all()) {
    const std::string name = official_name(model.config().family, p.name);
    const auto it = official.find(name);
    if (it == official.end()) {
      missing += " " + name;
      continue;
    }
    ours.emplace(p.name, it->second);
    official.erase(it);
  }
  for (const auto& [name, array] : official) {
    if (!is_official_extra(name)) unknown += " " + name;
  }
  require(missing.empty(), "[import] missing tensors:{}", missing);
  require(unknown.empty(), "[import] tensors that {} does not have:{}", name_of(model.config().family), unknown);
  return ours;
}

// The head shares the embedding's weight in every family here; a file where it does not is another model.
void check_tied_head(const ArrayMap& tensors) {
  const auto head = tensors.find("lm_head.weight");
  if (head == tensors.end()) return;
  require(head->second.to_f64() == needed(tensors, "transformer.wte.weight").to_f64(),
          "[import] lm_head.weight differs from transformer.wte.weight; untied heads are not supported");
}

}  // namespace

OfficialModel read_official(const std::string& path) {
  Weights file = load_weights(path);
  OfficialModel out;
  const json plain = json::parse(file.plain, nullptr, false);
  if (plain.is_object()) {
    if (plain.contains("family") && plain["family"].is_string()) out.family = plain["family"].get<std::string>();
    if (plain.contains("config") && plain["config"].is_string()) {
      take_config(json::parse(plain["config"].get_ref<const std::string&>(), nullptr, false), out.config);
    }
    if (plain.contains("model_args")) take_config(plain["model_args"], out.config);
  }
  out.tensors = parameters_among(std::move(file.tensors));
  return out;
}

std::unique_ptr<LanguageModel> import_model(Device& device, Family family, const OfficialModel& source) {
  check_tied_head(source.tensors);
  auto model = std::make_unique<LanguageModel>(device, config_from(family, source));
  fill_parameters(*model, under_our_names(*model, source.tensors), "the imported file");
  return model;
}

void export_model(const LanguageModel& model, const std::string& path) {
  std::deque<std::vector<float>> buffers;
  std::vector<TensorToWrite> tensors;
  for (const Param& p : model.store().all()) {
    const std::string name = official_name(model.config().family, p.name);
    require(!name.empty(),
            "[export] the authors' {} has no parameter for {}; this model cannot be written in their format",
            name_of(model.config().family), p.name);
    tensors.push_back(as_f32(p.name, p.value, buffers.emplace_back()));
    tensors.back().name = name;
  }
  TensorToWrite head = tensors.front();  // embed.tokens comes first
  head.name = "lm_head.weight";
  tensors.push_back(head);
  if (path.ends_with(".safetensors"))
    write_safetensors(path, tensors);
  else
    write_pytorch(path, tensors);
}

}  // namespace crate
