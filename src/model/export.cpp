// export: weights of ours under the authors' names, for their code to load.
#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/files/pytorch.h"
#include "model/import.h"
#include "model/names.h"

namespace crate {
namespace {

using nlohmann::json;

// Everything that a state dict and the hyper-parameters cannot carry over, by the names of our options.
std::vector<std::string> beyond_their_code(const ModelConfig& c) {
  std::vector<std::string> options;
  const auto refuse = [&](bool used, const char* name) {
    if (used) options.emplace_back(name);
  };
  refuse(c.qk_norm, "qk_norm");
  refuse(c.rotary, "rotary");
  refuse(!c.learned_positions, "learned_positions = false");
  refuse(!c.tied_head, "tied_head = false");
  if (!is_white_box(c.family)) return options;
  refuse(c.shift, "shift");
  refuse(c.exclusive, "exclusive");
  refuse(!c.bias, "bias = false");
  refuse(c.learn_eta, "learn_eta");
  refuse(c.learn_lambda, "learn_lambda");
  refuse(c.ista_residual, "ista_residual");
  refuse(c.untied_dictionary, "untied_dictionary");
  refuse(c.steps() != (c.family == Family::crate_gpt ? 1 : 2), "ista_steps");
  return options;
}

json one_or_all(const std::vector<double>& values) { return values.size() == 1 ? json(values[0]) : json(values); }

// crate.py registers its causal mask, (1, 1, N, N) of ones below the diagonal, as part of its state.
std::vector<float> causal_mask(int64_t n) {
  std::vector<float> mask(static_cast<std::size_t>(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) mask[static_cast<std::size_t>(i * n + j)] = 1;
  return mask;
}

}  // namespace

OfficialConfig official_config(const ModelConfig& c) {
  json all = {{"n_embd", c.dim},         {"n_head", c.heads},     {"n_layer", c.layers},
              {"block_size", c.context}, {"vocab_size", c.vocab}, {"ln_eps", c.norm_eps}};
  if (is_white_box(c.family)) {
    all["eta"] = one_or_all(c.eta);
    all["lambda"] = one_or_all(c.lambda);
  } else {
    all["bias"] = c.bias;
  }
  if (c.family == Family::crate_lm && c.n_atoms() % c.dim == 0) all["overcomplete_ratio"] = c.n_atoms() / c.dim;
  if (c.dropout > 0) all["dropout"] = c.dropout;
  OfficialConfig out;
  for (const auto& [key, value] : all.items()) out[key] = value.dump();
  return out;
}

void export_model(const LanguageModel& model, const std::string& path) {
  const ModelConfig& c = model.config();
  std::string refused;
  for (const std::string& option : beyond_their_code(c)) refused += (refused.empty() ? "" : ", ") + option;
  require(refused.empty(), "this model cannot be written for the authors' {} code, which has no {}", name_of(c.family),
          refused);
  std::deque<std::vector<float>> buffers;
  std::vector<TensorToWrite> tensors;
  for (const Param& p : model.store().all()) {
    const std::string name = official_name(c.family, p.name);
    require(!name.empty(), "the authors' {} code has no place for {}", name_of(c.family), p.name);
    tensors.push_back(as_f32(name, p.value, buffers.emplace_back()));
  }
  tensors.push_back(tensors.front());
  tensors.back().name = "lm_head.weight";
  const std::vector<float> mask = causal_mask(c.family == Family::crate_gpt ? c.context : 0);
  for (int64_t i = 0; i < c.layers && !mask.empty(); ++i) {
    tensors.push_back({fmt::format("transformer.h.{}.attn.bias", i),
                       FileDtype::f32,
                       {1, 1, c.context, c.context},
                       std::as_bytes(std::span(mask))});
  }
  if (path.ends_with(".pth") || path.ends_with(".pt") || path.ends_with(".pth.tar"))
    return write_pytorch(path, tensors);
  json config;
  for (const auto& [key, value] : official_config(c)) config[key] = json::parse(value);
  write_safetensors(path, tensors, {{"format", "pt"}, {"family", name_of(c.family)}, {"config", config.dump()}});
}

}  // namespace crate
