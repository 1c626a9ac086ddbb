// parameters: which tensors a model has, and what they hold at the start.
// Initialisation of the released code: N(0, 0.02) for products and embeddings, 0.02 / sqrt(2 L) for the products that
// write into the stream, dictionaries uniform in +-sqrt(6/d) (kaiming_uniform with fan-in d), norms 1 and 0, biases 0,
// layer scales 1e-5.
#include <cmath>

#include "base/parallel.h"
#include "base/rng.h"
#include "model/language_model.h"

namespace crate {
namespace {

enum class Fill : uint8_t { zero, one, layer_scale, normal, stream_normal, kaiming, eta, lambda };

// FNV-1a of the name addresses the numbers of a tensor: adding a parameter does not change the others.
uint64_t address_of(const std::string& name) {
  uint32_t h = 2166136261U;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 16777619U;
  return h;
}

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> ends) {
  for (std::string_view end : ends) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

Fill fill_of(std::string_view name) {
  if (ends_with_any(name, {"ista.eta"})) return Fill::eta;
  if (ends_with_any(name, {"ista.lambda"})) return Fill::lambda;
  if (ends_with_any(name, {".scale", "temperature"})) return Fill::one;
  if (ends_with_any(name, {"gamma1", "gamma2"})) return Fill::layer_scale;
  if (ends_with_any(name, {".shift", "_bias", ".b_in", ".b_out"})) return Fill::zero;
  if (ends_with_any(name, {"ista.dict", "ista.dict_out"})) return Fill::kaiming;
  if (ends_with_any(name, {"mssa.w", "mha.w", "mlp.w_out"})) return Fill::stream_normal;
  return Fill::normal;
}

int64_t layer_of(std::string_view name) { return std::atoll(std::string(name.substr(7)).c_str()); }

double value_at(const ModelConfig& c, const std::string& name, Fill fill, const Rng& rng, uint64_t address,
                uint64_t i) {
  switch (fill) {
    case Fill::zero:
      return 0;
    case Fill::one:
      return 1;
    case Fill::layer_scale:
      return 1e-5;
    case Fill::normal:
      return 0.02 * rng.normal(address, i);
    case Fill::stream_normal:
      return 0.02 / std::sqrt(2.0 * static_cast<double>(c.layers)) * rng.normal(address, i);
    case Fill::kaiming:
      return std::sqrt(6.0 / static_cast<double>(c.dim)) * (2 * rng.uniform(address, i) - 1);
    case Fill::eta:
      return c.eta_of(layer_of(name));
    case Fill::lambda:
      return c.lambda_of(layer_of(name));
  }
  return 0;
}

}  // namespace

void LanguageModel::add_block(int64_t i) {
  const ModelConfig& c = config_;
  const bool white = is_white_box(c.family);
  const std::string at = fmt::format("blocks.{}.", i), attention = at + (white ? "mssa." : "mha.");
  const auto add_norm = [&](const std::string& name) {
    store_.add(name + ".scale", {c.dim});
    if (c.bias) store_.add(name + ".shift", {c.dim});
  };
  add_norm(at + "norm1");
  store_.add(attention + (white ? "u" : "qkv"), {white ? c.dim : 3 * c.dim, c.dim});
  if (c.bias && !white) store_.add(attention + "qkv_bias", {3 * c.dim});
  if (c.qk_norm) store_.add(attention + "temperature", {c.heads});
  if (c.shift && white) store_.add(attention + "shift", {c.dim});
  store_.add(attention + "w", {c.dim, c.dim});
  if (c.bias) store_.add(attention + "w_bias", {c.dim});
  if (c.layer_scale) store_.add(at + "gamma1", {c.dim});
  add_norm(at + "norm2");
  if (white) {
    store_.add(at + "ista.dict", {c.n_atoms(), c.dim});
    if (c.untied_dictionary) store_.add(at + "ista.dict_out", {c.n_atoms(), c.dim});
    if (c.learn_eta) store_.add(at + "ista.eta", {1});
    if (c.learn_lambda) store_.add(at + "ista.lambda", {c.lambda_per_atom ? c.n_atoms() : 1});
  } else {
    store_.add(at + "mlp.w_in", {c.n_atoms(), c.dim});
    if (c.bias) store_.add(at + "mlp.b_in", {c.n_atoms()});
    store_.add(at + "mlp.w_out", {c.dim, c.n_atoms()});
    if (c.bias) store_.add(at + "mlp.b_out", {c.dim});
  }
  if (c.layer_scale) store_.add(at + "gamma2", {c.dim});
}

void LanguageModel::add_parameters() {
  store_.add("embed.tokens", {config_.vocab, config_.dim});
  if (config_.learned_positions) store_.add("embed.pos", {config_.context, config_.dim});
  for (int64_t i = 0; i < config_.layers; ++i) add_block(i);
  if (config_.final_norm()) {
    store_.add("norm.scale", {config_.dim});
    if (config_.bias) store_.add("norm.shift", {config_.dim});
  }
  if (!config_.tied_head) store_.add("head.weight", {config_.vocab, config_.dim});
}

void LanguageModel::init(uint64_t seed) {
  const Rng rng(seed, Stream::init);
  for (Param& p : store_.all()) {
    const Fill fill = fill_of(p.name);
    const uint64_t address = address_of(p.name);
    const auto set = [&](auto* values) {
      parallel_for(p.value.numel(), 1 << 14, [&](int64_t lo, int64_t hi) {
        // Rounded to float first: `ref` and `cpu` start from the same weights.
        for (int64_t i = lo; i < hi; ++i)
          values[i] = static_cast<float>(value_at(config_, p.name, fill, rng, address, static_cast<uint64_t>(i)));
      });
    };
    if (p.value.dtype == Dtype::f32)
      set(p.value.as<float>());
    else
      visit_ref(p.value.dtype, [&](auto zero) { set(p.value.as<decltype(zero)>()); });
  }
  store_.values_changed();
}

}  // namespace crate
