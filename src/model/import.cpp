#include "model/import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/files/weights.h"
#include "model/names.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> wrappers = {"module.", "_orig_mod.", "param/"};
constexpr std::array<std::string_view, 11> known = {
    "n_embd", "n_head", "n_layer", "block_size", "vocab_size", "bias", "overcomplete_ratio",
    "eta",    "lambda", "ln_eps",  "dropout"};
constexpr const char *wte = "transformer.wte.weight", *lm_head = "lm_head.weight";

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t most = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i) text += (i ? ", " : "") + names[i];
  return names.size() > most ? fmt::format("{} and {} more", text, names.size() - most) : text;
}

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
    if (std::find(known.begin(), known.end(), key) != known.end())
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

const Array& matrix(const OfficialModel& source, Family family, const std::string& ours) {
  const auto it = source.tensors.find(ours);
  require(it != source.tensors.end(), "{} misses {}; is --family right?", source.path, official_name(family, ours));
  require(it->second.shape.size() == 2, "{}: {} must have two dimensions, came {}", source.path,
          official_name(family, ours), it->second.shape_str());
  return it->second;
}

int64_t count_layers(const OfficialModel& source) {
  std::set<std::string> layers;
  for (const auto& [name, array] : source.tensors) {
    if (name.starts_with("blocks.")) layers.insert(name.substr(0, name.find('.', 7)));
  }
  return static_cast<int64_t>(layers.size());
}

ModelConfig config_from_shapes(const OfficialModel& source, Family family) {
  ModelConfig c;
  const Array &table = matrix(source, family, "embed.tokens"), &positions = matrix(source, family, "embed.pos");
  c.family = family;
  c.vocab = table.shape[0];
  c.dim = table.shape[1];
  c.context = positions.shape[0];
  c.layers = count_layers(source);
  require(c.layers > 0, "{} holds no layers", source.path);
  if (c.family != Family::crate_gpt) {
    const char* second = is_white_box(c.family) ? "blocks.0.ista.dict" : "blocks.0.mlp.w_in";
    const int64_t m = matrix(source, family, second).shape[0];
    c.atoms = m == 4 * c.dim ? 0 : m;
  }
  c.bias = source.tensors.contains("blocks.0.norm1.shift");
  c.layer_scale = source.tensors.contains("blocks.0.gamma1");
  c.tied_head = !source.tensors.contains("head.weight");
  return c;
}

// Applies one hyper-parameter; false when its name means nothing here.
bool apply(ModelConfig& c, const std::string& key, const std::string& value, const std::string& path) {
  const auto agree = [&](const std::string& shapes_tell) {
    require(json::parse(value, nullptr, false) == json::parse(shapes_tell),
            "{}: {} was given as {}, but the tensors say {}", path, key, value, shapes_tell);
    return true;
  };
  if (key == "n_embd") return agree(std::to_string(c.dim));
  if (key == "n_layer") return agree(std::to_string(c.layers));
  if (key == "block_size") return agree(std::to_string(c.context));
  if (key == "vocab_size") return agree(std::to_string(c.vocab));
  if (key == "overcomplete_ratio") {
    if (c.n_atoms() % c.dim == 0) return agree(std::to_string(c.n_atoms() / c.dim));
    fail("{}: {} atoms are no multiple of {} channels; leave overcomplete_ratio out", path, c.n_atoms(), c.dim);
  }
  // crate-gpt and crate-lm carry the flag, their modules do not read it.
  if (key == "bias") return is_white_box(c.family) || agree(c.bias ? "true" : "false");
  const std::map<std::string, const char*> same = {
      {"n_head", "heads"}, {"eta", "eta"}, {"lambda", "lambda"}, {"ln_eps", "norm_eps"}, {"dropout", "dropout"}};
  const auto it = same.find(key);
  if (it == same.end()) return false;
  set_field(c, it->second, value);
  return true;
}

ModelConfig settle_config(const OfficialModel& source, Family family) {
  ModelConfig c = config_from_shapes(source, family);
  require(source.config.contains("n_head"), "{}: the shapes do not tell the number of heads; give --config n_head=...",
          source.path);
  for (const auto& [key, value] : source.config) {
    require(apply(c, key, value, source.path), "unknown hyper-parameter '{}'; known: {}", key, fmt::join(known, " "));
  }
  c.validate();
  return c;
}

void check_complete(const OfficialModel& source, const ModelConfig& config) {
  std::vector<std::string> missing, wrong;
  for (const auto& [name, shape] : parameter_shapes(config)) {
    const std::string official = official_name(config.family, name);
    const auto it = source.tensors.find(name);
    if (it == source.tensors.end())
      missing.push_back(official);
    else if (it->second.shape_str() != shape.str())
      wrong.push_back(fmt::format("{} must be {}, came {}", official, shape.str(), it->second.shape_str()));
  }
  require(missing.empty(), "{} misses {}; is --family right?", source.path, listed(missing));
  require(wrong.empty(), "{}: {}", source.path, listed(wrong));
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

std::unique_ptr<LanguageModel> import_model(Device& device, Family family, OfficialModel source) {
  if (!source.family.empty() && family_of(source.family) != family) {
    fail("{} says that it holds a {}, not a {}; give --family {}", source.path, source.family, name_of(family),
         name_of(family_of(source.family)));
  }
  settle_head(source);
  rename(source, family);
  const ModelConfig config = settle_config(source, family);
  check_complete(source, config);
  auto model = std::make_unique<LanguageModel>(device, config);
  fill_parameters(*model, source.tensors, source.path);
  return model;
}

}  // namespace crate
