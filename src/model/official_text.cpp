#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "model/names.h"
#include "model/official.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 11> known = {
    "n_embd", "n_head", "n_layer", "block_size", "vocab_size", "bias", "overcomplete_ratio",
    "eta",    "lambda", "ln_eps",  "dropout"};

ModelConfig config_from_shapes(const OfficialModel& source, Family family) {
  ModelConfig c = config_of(family);
  const Array &table = tensor_of(source, family, "embed.tokens", 2),
              &positions = tensor_of(source, family, "embed.pos", 2);
  c.vocab = table.shape[0];
  c.dim = table.shape[1];
  c.context = positions.shape[0];
  c.layers = count_layers(source);
  if (!has_square_code(family)) {
    const char* second = is_white_box(c.family) ? "blocks.0.ista.dict" : "blocks.0.mlp.w_in";
    const int64_t m = tensor_of(source, family, second, 2).shape[0];
    c.atoms = m == 4 * c.dim ? 0 : m;
  }
  c.bias = source.tensors.contains("blocks.0.norm1.shift");
  c.layer_scale = source.tensors.contains("blocks.0.gamma1");
  c.tied_head = !source.tensors.contains("head.weight");
  return c;
}

// Applies one hyper-parameter; false when its name means nothing here.
bool apply(ModelConfig& c, const std::string& key, const std::string& value, const OfficialModel& source) {
  const auto agree = [&](const std::string& shapes_tell) {
    must_agree(source, key, shapes_tell);
    return true;
  };
  if (key == "n_embd") return agree(std::to_string(c.dim));
  if (key == "n_layer") return agree(std::to_string(c.layers));
  if (key == "block_size") return agree(std::to_string(c.context));
  if (key == "vocab_size") return agree(std::to_string(c.vocab));
  if (key == "overcomplete_ratio") {
    if (c.n_atoms() % c.dim == 0) return agree(std::to_string(c.n_atoms() / c.dim));
    fail("{}: {} atoms are no multiple of {} channels; leave overcomplete_ratio out", source.path, c.n_atoms(), c.dim);
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

}  // namespace

bool is_text_setting(std::string_view key) { return std::find(known.begin(), known.end(), key) != known.end(); }

ModelConfig text_config(const OfficialModel& source, Family family) {
  ModelConfig c = config_from_shapes(source, family);
  require(source.config.contains("n_head"), "{}: the shapes do not tell the number of heads; give --config n_head=...",
          source.path);
  for (const auto& [key, value] : source.config) {
    require(apply(c, key, value, source), "unknown hyper-parameter '{}'; known: {}", key, fmt::join(known, " "));
  }
  c.validate();
  return c;
}

OfficialConfig official_text_config(const ModelConfig& c) {
  OfficialConfig out = {{"n_embd", std::to_string(c.dim)},       {"n_head", std::to_string(c.heads)},
                        {"n_layer", std::to_string(c.layers)},   {"block_size", std::to_string(c.context)},
                        {"vocab_size", std::to_string(c.vocab)}, {"ln_eps", json(c.norm_eps).dump()}};
  if (is_white_box(c.family)) {
    out["eta"] = one_or_all(c.eta);
    out["lambda"] = one_or_all(c.lambda);
  } else {
    out["bias"] = c.bias ? "true" : "false";
  }
  if (has_wide_code(c.family) && c.n_atoms() % c.dim == 0)
    out["overcomplete_ratio"] = std::to_string(c.n_atoms() / c.dim);
  if (c.dropout > 0) out["dropout"] = json(c.dropout).dump();
  return out;
}

}  // namespace crate
