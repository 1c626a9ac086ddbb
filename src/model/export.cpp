// export: weights of ours under the authors' names, for their code to load.
#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/files/pytorch.h"
#include "model/import.h"
#include "model/names.h"
#include "model/official.h"

namespace crate {
namespace {

using nlohmann::json;

// Everything that a state dict and the hyper-parameters cannot carry over, by the names of our options.
std::vector<std::string> beyond_their_code(const ModelConfig& c) {
  std::vector<std::string> options;
  const auto refuse = [&](bool used, const char* name) {
    if (used) options.emplace_back(name);
  };
  const bool white = is_white_box(c.family), image = is_image(c.family), alpha = c.family == Family::crate_alpha;
  refuse(c.qk_norm, "qk_norm");
  refuse(white && c.exclusive, "exclusive");
  refuse(white && !c.bias, "bias = false");
  refuse(white && c.learn_eta, "learn_eta");
  refuse(white && c.learn_lambda, "learn_lambda");
  refuse(white && c.ista_residual != alpha, alpha ? "ista_residual = false" : "ista_residual");
  refuse(white && c.untied_dictionary != alpha, alpha ? "untied_dictionary = false" : "untied_dictionary");
  refuse(white && c.steps() != (has_square_code(c.family) ? 1 : 2), "ista_steps");
  if (image) {
    refuse(!c.image.class_token, "image.class_token = false");
    refuse(c.image.positions != Positions::learned, "image.positions other than learned");
    refuse(!white && c.image.pooling == Pooling::mean, "image.pooling = mean");
    return options;
  }
  refuse(c.rotary, "rotary");
  refuse(!c.learned_positions, "learned_positions = false");
  refuse(!c.tied_head, "tied_head = false");
  refuse(white && c.shift, "shift");
  return options;
}

// The numbers of a matrix with `cols` columns, column by column; `buffer` keeps them.
void transpose(TensorToWrite& t, int64_t cols, std::vector<float>& buffer) {
  const auto* from = reinterpret_cast<const float*>(t.bytes.data());
  const std::size_t n = t.bytes.size() / sizeof(float), width = static_cast<std::size_t>(cols), rows = n / width;
  std::vector<float> to(n);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < width; ++j) to[j * rows + i] = from[i * width + j];
  buffer = std::move(to);
  t.bytes = std::as_bytes(std::span(buffer));
}

// crate.py registers its causal mask, (1, 1, N, N) of ones below the diagonal, as part of its state.
std::vector<float> causal_mask(int64_t n) {
  std::vector<float> mask(static_cast<std::size_t>(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) mask[static_cast<std::size_t>(i * n + j)] = 1;
  return mask;
}

}  // namespace

OfficialConfig official_config(const ModelConfig& c) {
  return is_image(c.family) ? official_image_config(c) : official_text_config(c);
}

void export_model(const Model& model, const std::string& path) {
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
    tensors.back().shape = official_shape(c, p.name, p.value.shape);
    if (layout_of(c.family, p.name) == Layout::transposed) transpose(tensors.back(), p.value.cols(), buffers.back());
  }
  if (!is_image(c.family)) {
    tensors.push_back(tensors.front());
    tensors.back().name = "lm_head.weight";
  }
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
