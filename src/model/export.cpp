// export: weights of ours under the authors' names, for their code to load.
#include <algorithm>
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
  refuse(white && c.metric, "metric");
  refuse(white && c.relay, "relay");
  if (image) {
    refuse(c.family == Family::vit && c.sparse_start, "sparse_start");
    refuse(!c.image.class_token, "image.class_token = false");
    refuse(!is_autoencoder(c.family) && c.image.positions != Positions::learned, "image.positions other than learned");
    refuse(c.image.patch_norm != (c.family == Family::crate), "image.patch_norm = false");
    return options;
  }
  refuse(c.rotary, "rotary");
  refuse(!c.learned_positions, "learned_positions = false");
  refuse(!c.tied_head, "tied_head = false");
  refuse(white && c.shift, "shift");
  refuse(white && c.direction, "direction");
  refuse(white && c.trace, "trace");
  return options;
}

// crate.py registers its causal mask, (1, 1, N, N) of ones below the diagonal, as part of its state.
std::vector<float> causal_mask(int64_t n) {
  std::vector<float> mask(static_cast<std::size_t>(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) mask[static_cast<std::size_t>(i * n + j)] = 1;
  return mask;
}

// What the authors' auto-encoder carries without using it: its code loads no file that lacks them.
void add_idle(std::vector<TensorToWrite>& tensors, const ModelConfig& c, std::deque<std::vector<float>>& buffers) {
  const auto positions = std::find_if(tensors.begin(), tensors.end(),
                                      [](const TensorToWrite& t) { return t.name == "decoder_pos_embed"; });
  TensorToWrite copy = *positions;
  copy.name = "pos_embed";
  tensors.push_back(copy);
  const auto d = static_cast<std::size_t>(c.dim);
  const std::vector<float>& zeros = buffers.emplace_back(d * d);
  tensors.push_back({"decoder_embed.weight", FileDtype::f32, {c.dim, c.dim}, std::as_bytes(std::span(zeros))});
  tensors.push_back({"decoder_embed.bias", FileDtype::f32, {c.dim}, std::as_bytes(std::span(zeros).first(d))});
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
  std::deque<std::vector<std::byte>> columns;
  std::vector<TensorToWrite> tensors;
  for (const Param& p : model.store().all()) {
    std::string name = official_name(c.family, p.name);
    // timm's name of a norm behind the mean
    if (c.family == Family::vit && c.image.pooling == Pooling::mean && name.starts_with("norm.")) name.insert(0, "fc_");
    require(!name.empty(), "the authors' {} code has no place for {}", name_of(c.family), p.name);
    tensors.push_back(as_f32(name, p.value, buffers.emplace_back()));
    tensors.back().shape = official_shape(c, p.name, p.value.shape);
    if (layout_of(c.family, p.name) == Layout::transposed) {
      columns.push_back(transposed(tensors.back().bytes, p.value.rows(), p.value.cols(), sizeof(float)));
      tensors.back().bytes = columns.back();
    }
  }
  if (!is_image(c.family)) {
    tensors.push_back(tensors.front());
    tensors.back().name = "lm_head.weight";
  }
  if (c.family == Family::crate_mae) add_idle(tensors, c, buffers);
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
