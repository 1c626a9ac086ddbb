#include "model/parameters.h"

#include <cmath>

#include "base/parallel.h"
#include "base/rng.h"

namespace crate {
namespace {

// Initialisation of the released code: N(0, 0.02) for products and embeddings, 0.02 / sqrt(2 L) for the products that
// write into the stream, dictionaries uniform in +-sqrt(6/d) (kaiming_uniform with fan-in d), norms 1 and 0, biases 0,
// layer scales 1e-5.
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

class List {
 public:
  void add(std::string name, Shape shape) { list_.push_back({std::move(name), shape}); }
  void add_norm(const ModelConfig& c, const std::string& name) {
    add(name + ".scale", {c.dim});
    if (c.bias) add(name + ".shift", {c.dim});
  }
  std::vector<ParameterShape> take() { return std::move(list_); }

 private:
  std::vector<ParameterShape> list_;
};

void add_attention(List& list, const ModelConfig& c, const std::string& block) {
  const bool white = is_white_box(c.family);
  const std::string at = block + (white ? "mssa." : "mha.");
  list.add_norm(c, block + "norm1");
  list.add(at + (white ? "u" : "qkv"), {white ? c.dim : 3 * c.dim, c.dim});
  if (c.bias && !white) list.add(at + "qkv_bias", {3 * c.dim});
  if (c.qk_norm) list.add(at + "temperature", {c.heads});
  if (c.shift && white) list.add(at + "shift", {c.dim});
  list.add(at + "w", {c.dim, c.dim});
  if (c.bias) list.add(at + "w_bias", {c.dim});
  if (c.layer_scale) list.add(block + "gamma1", {c.dim});
}

void add_second_half(List& list, const ModelConfig& c, const std::string& block) {
  list.add_norm(c, block + "norm2");
  const int64_t m = c.n_atoms();
  if (is_white_box(c.family)) {
    list.add(block + "ista.dict", {m, c.dim});
    if (c.untied_dictionary) list.add(block + "ista.dict_out", {m, c.dim});
    if (c.learn_eta) list.add(block + "ista.eta", {1});
    if (c.learn_lambda) list.add(block + "ista.lambda", {c.lambda_per_atom ? m : 1});
  } else {
    list.add(block + "mlp.w_in", {m, c.dim});
    if (c.bias) list.add(block + "mlp.b_in", {m});
    list.add(block + "mlp.w_out", {c.dim, m});
    if (c.bias) list.add(block + "mlp.b_out", {c.dim});
  }
  if (c.layer_scale) list.add(block + "gamma2", {c.dim});
}

}  // namespace

std::vector<ParameterShape> parameter_shapes(const ModelConfig& c) {
  List list;
  list.add("embed.tokens", {c.vocab, c.dim});
  if (c.learned_positions) list.add("embed.pos", {c.context, c.dim});
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string block = fmt::format("blocks.{}.", i);
    add_attention(list, c, block);
    add_second_half(list, c, block);
  }
  if (c.final_norm()) list.add_norm(c, "norm");
  if (!c.tied_head) list.add("head.weight", {c.vocab, c.dim});
  return list.take();
}

ParameterCount count_parameters(const ModelConfig& config) {
  ParameterCount count;
  for (const auto& [name, shape] : parameter_shapes(config)) {
    count.all += shape.numel();
    if (name != "embed.pos") count.without_positions += shape.numel();
  }
  return count;
}

void init_parameters(ParameterStore& store, const ModelConfig& config, uint64_t seed) {
  const Rng rng(seed, Stream::init);
  for (Param& p : store.all()) {
    const Fill fill = fill_of(p.name);
    const uint64_t address = address_of(p.name);
    const auto set = [&](auto* values) {
      parallel_for(p.value.numel(), 1 << 14, [&](int64_t lo, int64_t hi) {
        // Rounded to float first: `ref` and `cpu` start from the same weights.
        for (int64_t i = lo; i < hi; ++i)
          values[i] = static_cast<float>(value_at(config, p.name, fill, rng, address, static_cast<uint64_t>(i)));
      });
    };
    if (p.value.dtype == Dtype::f32)
      set(p.value.as<float>());
    else
      visit_ref(p.value.dtype, [&](auto zero) { set(p.value.as<decltype(zero)>()); });
  }
  store.values_changed();
}

}  // namespace crate
