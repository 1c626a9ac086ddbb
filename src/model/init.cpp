// The authors' initialisations.
//
//   text         N(0, 0.02) for products and embeddings, 0.02 / sqrt(2 L) for the products that write into the stream
//   crate        PyTorch's Linear: weights and biases uniform in +-1/sqrt(inputs); class token and positions N(0, 1)
//   crate-alpha  N(0, 0.02) for products and positions, class token N(0, 1e-6), patches uniform in +-sqrt(6/inputs)
//   vit          timm: N(0, 0.02), class token N(0, 1e-6), patches as PyTorch's convolution, as Linear above
//   auto-encoders  Xavier: uniform in +-sqrt(6 / (inputs + outputs)), tokens N(0, 0.02), fixed sin-cos positions
//   sparse start the twin's hidden units as atoms: w_in as a dictionary, b_in -lambda, w_out eta times a dictionary, so
//                that w_out relu(w_in v + b_in) is a step of crate-one, D_out' relu(eta (D v - lambda)), in
//                distribution
//   metrics      the unit matrix: a head begins by comparing coordinates as they are; traces and directions 0
//   all          dictionaries uniform in +-sqrt(6/d) (kaiming_uniform with fan-in d), norms 1 and 0, layer scales 1e-5,
//                biases 0 but where said otherwise
#include <cmath>

#include "base/parallel.h"
#include "base/rng.h"
#include "model/parameters.h"
#include "model/sincos.h"

namespace crate {
namespace {

// A constant, normal numbers of a deviation, numbers uniform between +- a bound, or unit matrices of a width one above
// the other.
struct Fill {
  enum Kind : uint8_t { constant, normal, uniform, unit } kind;
  double size;
};

int64_t layer_of(std::string_view name) { return std::atoll(std::string(name.substr(7)).c_str()); }

double dictionary_bound(const ModelConfig& c) { return std::sqrt(6.0 / static_cast<double>(c.dim)); }

Fill sparse_fill(const ModelConfig& c, std::string_view name) {
  if (name.ends_with("mlp.b_in")) return {Fill::constant, -c.lambda_of(layer_of(name))};
  return {Fill::uniform, (name.ends_with("mlp.w_out") ? c.eta_of(layer_of(name)) : 1) * dictionary_bound(c)};
}

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

bool is_bias(std::string_view name) { return ends_with_any(name, {".shift", "_bias", ".bias", ".b_in", ".b_out"}); }

// Inputs of the product that a bias belongs to.
int64_t inputs_of_bias(const ModelConfig& c, std::string_view name) {
  if (name == "embed.patch_bias") return c.image.patch_numbers();
  if (name.ends_with("w_bias")) return c.attention_width();
  return c.dim;
}

Fill image_fill(const ModelConfig& c, std::string_view name, const Shape& shape) {
  const auto like_linear = [](int64_t inputs) {
    return Fill{Fill::uniform, 1 / std::sqrt(static_cast<double>(inputs))};
  };
  const bool patch_product = name == "embed.patch" || name == "embed.patch_bias";
  const bool token = name == "embed.cls" || name == "embed.pos";
  if (c.family == Family::crate) {
    if (token) return {Fill::normal, 1};
    if (name.ends_with(".shift")) return {Fill::constant, 0};
    return like_linear(is_bias(name) ? inputs_of_bias(c, name) : shape.cols());
  }
  const bool autoencoder = is_autoencoder(c.family);
  if (name == "embed.cls" && !autoencoder) return {Fill::normal, 1e-6};
  if (name.ends_with(".linear")) return {Fill::uniform, std::sqrt(6.0 / static_cast<double>(shape.cols()))};
  if (patch_product && (c.family == Family::vit || (autoencoder && name == "embed.patch_bias")))
    return like_linear(c.image.patch_numbers());
  if (is_bias(name)) return {Fill::constant, 0};
  if (autoencoder && shape.rank() == 2)
    return {Fill::uniform, std::sqrt(6.0 / static_cast<double>(shape[0] + shape[1]))};
  if (name == "embed.patch" && c.family == Family::crate_alpha)
    return {Fill::uniform, std::sqrt(6.0 / static_cast<double>(c.image.patch_numbers()))};
  return {Fill::normal, 0.02};
}

Fill fill_of(const ModelConfig& c, std::string_view name, const Shape& shape) {
  if (name.ends_with("ista.eta")) return {Fill::constant, c.eta_of(layer_of(name))};
  if (name.ends_with("ista.lambda")) return {Fill::constant, c.lambda_of(layer_of(name))};
  if (ends_with_any(name, {".scale", "temperature"})) return {Fill::constant, 1};
  if (ends_with_any(name, {"mssa.direction", "mssa.trace"})) return {Fill::constant, 0};
  if (ends_with_any(name, {"mssa.metric_q", "mssa.metric_k"})) return {Fill::unit, static_cast<double>(c.head_dim())};
  if (ends_with_any(name, {"gamma1", "gamma2"})) return {Fill::constant, 1e-5};
  if (ends_with_any(name, {"ista.dict", "ista.dict_out"})) return {Fill::uniform, dictionary_bound(c)};
  if (c.sparse_start && ends_with_any(name, {"mlp.w_in", "mlp.b_in", "mlp.w_out"})) return sparse_fill(c, name);
  if (is_image(c.family)) return image_fill(c, name, shape);
  if (is_bias(name)) return {Fill::constant, 0};
  if (ends_with_any(name, {"mssa.w", "mha.w", "mlp.w_out"}))
    return {Fill::normal, 0.02 / std::sqrt(2.0 * static_cast<double>(c.layers))};
  return {Fill::normal, 0.02};
}

double number(const Fill& fill, const Rng& rng, uint64_t address, uint64_t i) {
  if (fill.kind == Fill::constant) return fill.size;
  if (fill.kind == Fill::unit) {
    const auto width = static_cast<uint64_t>(fill.size);
    return i / width % width == i % width ? 1 : 0;
  }
  if (fill.kind == Fill::normal) return fill.size * rng.normal(address, i);
  return fill.size * (2 * rng.uniform(address, i) - 1);
}

}  // namespace

void init_parameters(ParameterStore& store, const ModelConfig& config, uint64_t seed) {
  const Rng rng(seed, Stream::init);
  for (Param& p : store.all()) {
    if (is_fixed(config, p.name)) {
      write_sincos(p.value, config.image.rows(), config.image.columns());
      continue;
    }
    const Fill fill = fill_of(config, p.name, p.value.shape);
    const uint64_t address = address_of(p.name);
    const auto set = [&](auto* values) {
      parallel_for(p.value.numel(), 1 << 14, [&](int64_t lo, int64_t hi) {
        // Rounded to float first: `ref` and `cpu` start from the same weights.
        for (int64_t i = lo; i < hi; ++i)
          values[i] = static_cast<float>(number(fill, rng, address, static_cast<uint64_t>(i)));
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
