#include "model/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr std::array<Family, 4> families = {Family::crate_gpt, Family::crate_lm, Family::gpt2, Family::gpt_relu};

// One list of the fields serves writing, reading and setting.
template <class Config, class Visit> void for_each_field(Config& c, Visit&& visit) {
  visit("dim", c.dim);
  visit("heads", c.heads);
  visit("layers", c.layers);
  visit("vocab", c.vocab);
  visit("context", c.context);
  visit("atoms", c.atoms);
  visit("norm_eps", c.norm_eps);
  visit("dropout", c.dropout);
  visit("eta", c.eta);
  visit("lambda", c.lambda);
  visit("ista_steps", c.ista_steps);
  visit("learn_eta", c.learn_eta);
  visit("learn_lambda", c.learn_lambda);
  visit("lambda_per_atom", c.lambda_per_atom);
  visit("ista_residual", c.ista_residual);
  visit("untied_dictionary", c.untied_dictionary);
  visit("qk_norm", c.qk_norm);
  visit("rotary", c.rotary);
  visit("rotary_base", c.rotary_base);
  visit("shift", c.shift);
  visit("exclusive", c.exclusive);
  visit("learned_positions", c.learned_positions);
  visit("bias", c.bias);
  visit("layer_scale", c.layer_scale);
  visit("tied_head", c.tied_head);
}

void read(const json& from, std::vector<double>& to) {
  to = from.is_array() ? from.get<std::vector<double>>() : std::vector<double>{from.get<double>()};
}
template <class T> void read(const json& from, T& to) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    require(from.is_number_integer(), "expected a whole number, came {}", from.dump());
    const bool fits = from.is_number_unsigned() ? from.get<uint64_t>() <= std::numeric_limits<T>::max()
                                                : from.get<int64_t>() >= std::numeric_limits<T>::min();
    require(fits, "the number is too large");
  }
  to = from.get<T>();
}

void set_from(ModelConfig& config, std::string_view name, const json& value, std::string_view where) {
  bool found = false;
  const auto take = [&](const char* field, auto& to) {
    if (name != field) return;
    found = true;
    try {
      read(value, to);
    } catch (const std::exception& e) {
      fail("[config] {}: '{}' cannot be {}: {}", where, name, value.dump(), e.what());
    }
  };
  for_each_field(config, take);
  if (name == "family") {
    require(value.is_string(), "[config] {}: 'family' must be a name, came {}", where, value.dump());
    config.family = family_of(value.get<std::string>());
    found = true;
  }
  require(found, "[config] {}: unknown key '{}'", where, name);
}

double per_layer(const std::vector<double>& values, int64_t layer) {
  return values[values.size() == 1 ? 0 : static_cast<std::size_t>(layer)];
}

void check_per_layer(const char* name, const std::vector<double>& values, int64_t layers, bool zero_allowed) {
  require(values.size() == 1 || static_cast<int64_t>(values.size()) == layers,
          "[config] {} must hold 1 or {} numbers, came {}", name, layers, values.size());
  for (double v : values) {
    require(std::isfinite(v) && (zero_allowed ? v >= 0 : v > 0), "[config] {} must be {} 0, came {}", name,
            zero_allowed ? ">=" : ">", v);
  }
}

std::optional<Family> find_family(std::string_view name) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '_', '-');
  for (const Family family : families) {
    if (plain == name_of(family)) return family;
  }
  return {};
}

}  // namespace

const char* name_of(Family family) {
  switch (family) {
    case Family::crate_gpt:
      return "crate-gpt";
    case Family::crate_lm:
      return "crate-lm";
    case Family::gpt2:
      return "gpt2";
    case Family::gpt_relu:
      return "gpt-relu";
  }
  return "?";
}

Family family_of(std::string_view name) {
  const auto family = find_family(name);
  require(family.has_value(), "[config] unknown family '{}'; known: crate-gpt, crate-lm, gpt2, gpt-relu", name);
  return *family;
}

bool is_family(std::string_view name) { return find_family(name).has_value(); }

bool is_white_box(Family family) { return family == Family::crate_gpt || family == Family::crate_lm; }

int64_t ModelConfig::n_atoms() const {
  if (family == Family::crate_gpt) return dim;
  return atoms > 0 ? atoms : 4 * dim;
}

int ModelConfig::steps() const {
  if (ista_steps > 0) return ista_steps;
  return family == Family::crate_gpt ? 1 : 2;
}

double ModelConfig::eta_of(int64_t layer) const { return per_layer(eta, layer); }
double ModelConfig::lambda_of(int64_t layer) const { return per_layer(lambda, layer); }

void ModelConfig::validate() const {
  const auto positive = [](const char* name, int64_t value, int64_t limit) {
    require(value > 0 && value <= limit, "[config] {} must lie in 1..{}, came {}", name, limit, value);
  };
  positive("dim", dim, 1 << 16);
  positive("heads", heads, 1 << 12);
  positive("layers", layers, 1 << 12);
  positive("vocab", vocab, int64_t{1} << 24);
  positive("context", context, int64_t{1} << 24);
  require(atoms >= 0 && atoms <= (1 << 20), "[config] atoms must lie in 0..{}, came {}", 1 << 20, atoms);
  require(dim % heads == 0, "[config] dim {} must be a multiple of heads {}", dim, heads);
  require(!rotary || head_dim() % 2 == 0, "[config] rotary needs an even head width, came {}", head_dim());
  require(norm_eps > 0 && norm_eps < 1, "[config] norm_eps must lie in (0, 1), came {}", norm_eps);
  require(dropout >= 0 && dropout < 1, "[config] dropout must lie in [0, 1), came {}", dropout);
  require(rotary_base > 1 && std::isfinite(rotary_base), "[config] rotary_base must be > 1, came {}", rotary_base);
  require(ista_steps >= 0 && ista_steps <= 64, "[config] ista_steps must lie in 0..64, came {}", ista_steps);
  check_per_layer("eta", eta, layers, false);
  check_per_layer("lambda", lambda, layers, true);
  require(!lambda_per_atom || learn_lambda, "[config] lambda_per_atom needs learn_lambda");
  require(!untied_dictionary || family == Family::crate_lm, "[config] untied_dictionary belongs to crate-lm, not {}",
          name_of(family));
  require(!layer_scale || !is_white_box(family), "[config] layer_scale belongs to gpt2 and gpt-relu, not {}",
          name_of(family));
}

std::string to_json(const ModelConfig& config) {
  json out = {{"format", "crate"}, {"family", name_of(config.family)}};
  for_each_field(config, [&](const char* name, const auto& value) { out[name] = value; });
  return out.dump(2) + "\n";
}

ModelConfig config_from_json(std::string_view text, std::string_view where) {
  const json from = json::parse(text, nullptr, false);
  require(from.is_object(), "[config] {} is not a JSON object", where);
  require(from.contains("family"), "[config] {} names no 'family'", where);
  ModelConfig config;
  for (const auto& [key, value] : from.items()) {
    if (key != "format") set_from(config, key, value, where);
  }
  config.validate();
  return config;
}

void set_field(ModelConfig& config, std::string_view name, std::string_view value) {
  const json parsed = json::parse(value, nullptr, false);
  set_from(config, name, parsed.is_discarded() ? json(value) : parsed, "setting");
}

}  // namespace crate
