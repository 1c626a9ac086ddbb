#include "model/config.h"

#include <fmt/ranges.h>

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

constexpr std::array<Family, 9> families = {Family::crate_gpt, Family::crate_lm,  Family::gpt2,
                                            Family::gpt_relu,  Family::crate,     Family::crate_alpha,
                                            Family::vit,       Family::crate_mae, Family::vit_mae};

// The lists of the fields serve writing, reading and setting.
template <class Config, class Visit> void for_each_shared_field(Config& c, Visit&& visit) {
  visit("dim", c.dim);
  visit("heads", c.heads);
  visit("head_width", c.head_width);
  visit("layers", c.layers);
  visit("atoms", c.atoms);
  visit("norm_eps", c.norm_eps);
  visit("final_norm_eps", c.final_norm_eps);
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
  visit("metric", c.metric);
  visit("relay", c.relay);
  visit("exclusive", c.exclusive);
  visit("bias", c.bias);
  visit("qkv_bias", c.qkv_bias);
  visit("layer_scale", c.layer_scale);
  visit("sparse_start", c.sparse_start);
}

template <class Config, class Visit> void for_each_text_field(Config& c, Visit&& visit) {
  visit("vocab", c.vocab);
  visit("context", c.context);
  visit("rotary", c.rotary);
  visit("rotary_base", c.rotary_base);
  visit("shift", c.shift);
  visit("direction", c.direction);
  visit("trace", c.trace);
  visit("learned_positions", c.learned_positions);
  visit("tied_head", c.tied_head);
}

template <class Image, class Visit> void for_each_image_field(Image& c, Visit&& visit) {
  visit("height", c.height);
  visit("width", c.width);
  visit("channels", c.channels);
  visit("patch", c.patch);
  visit("patch_width", c.patch_width);
  visit("classes", c.classes);
  visit("class_token", c.class_token);
  visit("pooling", c.pooling);
  visit("positions", c.positions);
  visit("patch_norm", c.patch_norm);
  visit("mean", c.mean);
  visit("std", c.std);
  visit("mask_ratio", c.mask_ratio);
  visit("norm_pix", c.norm_pix);
  visit("decoder_dim", c.decoder_dim);
  visit("decoder_layers", c.decoder_layers);
  visit("decoder_heads", c.decoder_heads);
}

constexpr std::array<const char*, 2> pooling_names = {"cls", "mean"};
constexpr std::array<const char*, 3> position_names = {"learned", "sincos", "none"};

template <std::size_t n> std::size_t index_of(const std::array<const char*, n>& names, const json& from) {
  const auto it = std::find(names.begin(), names.end(), from.get<std::string>());
  require(it != names.end(), "expected one of {}", fmt::join(names, ", "));
  return static_cast<std::size_t>(it - names.begin());
}

json written(Pooling p) { return pooling_names[static_cast<std::size_t>(p)]; }
json written(Positions p) { return position_names[static_cast<std::size_t>(p)]; }
template <class T> json written(const T& value) { return value; }

void read(const json& from, Pooling& to) { to = static_cast<Pooling>(index_of(pooling_names, from)); }
void read(const json& from, Positions& to) { to = static_cast<Positions>(index_of(position_names, from)); }
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

// What the authors of the families chose differently. Text families have the defaults of ModelConfig.
void choose_family(ModelConfig& c, Family family) {
  c.family = family;
  if (!is_image(family)) return;
  const bool alpha = family == Family::crate_alpha;
  const bool timm = family == Family::vit || family == Family::vit_mae;
  c.norm_eps = alpha || timm ? 1e-6 : 1e-5;
  c.final_norm_eps = alpha ? 1e-5 : family == Family::crate_mae ? 1e-6 : 0;
  c.lambda = {family == Family::crate_mae ? 0.5 : 0.1};
  c.untied_dictionary = c.ista_residual = alpha;
  c.image.positions = is_autoencoder(family) ? Positions::sincos : Positions::learned;
  c.image.patch_norm = family == Family::crate;
  if (is_autoencoder(family)) c.image.classes = 0;
}

// What crate-one is for text and for images alike.
void choose_one_step(ModelConfig& c) {
  c.qk_norm = c.exclusive = true;
  c.ista_steps = 1;
  c.ista_residual = c.untied_dictionary = c.learn_lambda = c.lambda_per_atom = true;
  c.eta = {0.25};
  c.lambda = {2.0};
}

void set_from(ModelConfig& config, std::string_view name, const json& value, std::string_view where) {
  if (name == "family") {
    require(value.is_string(), "[config] {}: 'family' must be a name, came {}", where, value.dump());
    if (value == "crate-one") return choose_crate_one(config);
    if (value == "crate-one-vision") return choose_crate_one_vision(config);
    const auto family = value.get<std::string>();
    require(is_family(family), "[config] {}: unknown family '{}'; known: {}, crate-one, crate-one-vision", where,
            family, family_names());
    return choose_family(config, family_of(family));
  }
  if (name == "image" && value.is_object()) {
    for (const auto& [key, inner] : value.items()) set_from(config, "image." + key, inner, where);
    return;
  }
  bool found = false;
  const auto take = [&](const std::string& field, auto& to) {
    if (name != field) return;
    found = true;
    try {
      read(value, to);
    } catch (const std::exception& e) {
      fail("[config] {}: '{}' cannot be {}: {}", where, name, value.dump(), e.what());
    }
  };
  for_each_shared_field(config, take);
  for_each_text_field(config, take);
  for_each_image_field(config.image, [&](const char* field, auto& to) { take(fmt::format("image.{}", field), to); });
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

void check_channels(const char* name, const std::vector<double>& values, int64_t channels, bool zero_allowed) {
  require(values.size() == 1 || static_cast<int64_t>(values.size()) == channels,
          "[config] image.{} must hold 1 or {} numbers, one a channel, came {}", name, channels, values.size());
  for (const double v : values) {
    require(std::isfinite(v) && (zero_allowed || v > 0), "[config] image.{} cannot be {}", name, v);
  }
}

void check_image(const ImageConfig& c, bool autoencoder) {
  const auto within = [](const char* name, int64_t value, int64_t least, int64_t most) {
    require(value >= least && value <= most, "[config] image.{} must lie in {}..{}, came {}", name, least, most, value);
  };
  within("height", c.height, 1, 1 << 15);
  within("width", c.width, 1, 1 << 15);
  within("channels", c.channels, 1, 1 << 10);
  within("patch", c.patch, 1, 1 << 12);
  within("patch_width", c.patch_width, 0, 1 << 12);
  within("classes", c.classes, 0, int64_t{1} << 24);
  within("decoder_dim", c.decoder_dim, 0, 1 << 16);
  within("decoder_layers", c.decoder_layers, 0, 1 << 12);
  within("decoder_heads", c.decoder_heads, 0, 1 << 12);
  require(c.height % c.patch == 0 && c.width % c.patch_columns() == 0,
          "[config] the image, {} x {}, must be a whole number of patches of {} x {}", c.height, c.width, c.patch,
          c.patch_columns());
  require(c.class_token || c.pooling == Pooling::mean, "[config] image.pooling cls needs image.class_token");
  require(!autoencoder || (c.class_token && c.positions == Positions::sincos && c.classes == 0),
          "[config] an auto-encoder has a class token, sincos positions and no classes");
  require(c.mask_ratio > 0 && c.mask_ratio < 1, "[config] image.mask_ratio must lie in (0, 1), came {}", c.mask_ratio);
  check_channels("mean", c.mean, c.channels, true);
  check_channels("std", c.std, c.channels, false);
}

std::optional<Family> find_family(std::string_view name) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '_', '-');
  if (plain == "crate-vision") return Family::crate;  // to tell it from the models of text
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
    case Family::crate:
      return "crate";
    case Family::crate_alpha:
      return "crate-alpha";
    case Family::vit:
      return "vit";
    case Family::crate_mae:
      return "crate-mae";
    case Family::vit_mae:
      return "vit-mae";
  }
  return "?";
}

Family family_of(std::string_view name) {
  const auto family = find_family(name);
  require(family.has_value(), "[config] unknown family '{}'; known: {}", name, family_names());
  return *family;
}

bool is_family(std::string_view name) { return find_family(name).has_value(); }

std::string family_names() {
  std::string names;
  for (const Family family : families) names += (names.empty() ? "" : ", ") + std::string(name_of(family));
  return names;
}

bool is_white_box(Family family) { return has_square_code(family) || has_wide_code(family); }
bool is_image(Family family) { return family >= Family::crate; }
bool is_autoencoder(Family family) { return family == Family::crate_mae || family == Family::vit_mae; }
bool has_square_code(Family family) {
  return family == Family::crate_gpt || family == Family::crate || family == Family::crate_mae;
}
bool has_wide_code(Family family) { return family == Family::crate_lm || family == Family::crate_alpha; }

bool ModelConfig::attention_output() const {
  return !is_image(family) || !is_white_box(family) || heads > 1 || attention_width() != dim;
}

int64_t ModelConfig::n_atoms() const {
  if (has_square_code(family)) return dim;
  return atoms > 0 ? atoms : 4 * dim;
}

int ModelConfig::steps() const {
  if (ista_steps > 0) return ista_steps;
  return has_square_code(family) ? 1 : 2;
}

double ModelConfig::eta_of(int64_t layer) const { return per_layer(eta, layer); }
double ModelConfig::lambda_of(int64_t layer) const { return per_layer(lambda, layer); }

ModelConfig decoder_of(const ModelConfig& config) {
  ModelConfig decoder = config;
  if (config.image.decoder_dim > 0) decoder.dim = config.image.decoder_dim;
  if (config.image.decoder_heads > 0) decoder.heads = config.image.decoder_heads;
  if (config.image.decoder_layers > 0) decoder.layers = config.image.decoder_layers;
  decoder.head_width = decoder.atoms = 0;
  return decoder;
}

ModelConfig classifier_of(const ModelConfig& autoencoder, int64_t classes) {
  require(is_autoencoder(autoencoder.family), "[config] a {} is no auto-encoder", name_of(autoencoder.family));
  ModelConfig c = autoencoder;
  c.family = autoencoder.family == Family::crate_mae ? Family::crate : Family::vit;
  c.image.classes = classes;
  return c;
}

void choose_crate_one(ModelConfig& c) {
  c.family = Family::crate_lm;
  c.rotary = c.metric = c.relay = c.trace = true;
  c.learned_positions = false;
  choose_one_step(c);
}

void choose_crate_one_vision(ModelConfig& c) {
  choose_family(c, Family::crate_alpha);
  choose_one_step(c);
}

ModelConfig config_of(Family family) {
  ModelConfig config;
  choose_family(config, family);
  return config;
}

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
  require(head_width >= 0 && head_width <= (1 << 16), "[config] head_width must lie in 0..{}, came {}", 1 << 16,
          head_width);
  require(head_width > 0 || dim % heads == 0, "[config] dim {} must be a multiple of heads {}, or give head_width", dim,
          heads);
  require(!rotary || head_dim() % 2 == 0, "[config] rotary needs an even head width, came {}", head_dim());
  require(norm_eps > 0 && norm_eps < 1, "[config] norm_eps must lie in (0, 1), came {}", norm_eps);
  require(final_norm_eps >= 0 && final_norm_eps < 1, "[config] final_norm_eps must lie in [0, 1), came {}",
          final_norm_eps);
  require(dropout >= 0 && dropout < 1, "[config] dropout must lie in [0, 1), came {}", dropout);
  require(rotary_base > 1 && std::isfinite(rotary_base), "[config] rotary_base must be > 1, came {}", rotary_base);
  require(ista_steps >= 0 && ista_steps <= 64, "[config] ista_steps must lie in 0..64, came {}", ista_steps);
  check_per_layer("eta", eta, layers, false);
  check_per_layer("lambda", lambda, layers, true);
  require(!lambda_per_atom || learn_lambda, "[config] lambda_per_atom needs learn_lambda");
  require(!untied_dictionary || has_wide_code(family),
          "[config] untied_dictionary belongs to crate-lm and crate-alpha, not {}", name_of(family));
  require(!layer_scale || !is_white_box(family), "[config] layer_scale belongs to gpt2, gpt-relu and vit, not {}",
          name_of(family));
  require(!sparse_start || ((family == Family::gpt_relu || family == Family::vit) && bias),
          "[config] sparse_start belongs to gpt-relu and vit with biases, not {}", name_of(family));
  if (!is_image(family)) return;
  require(!rotary && !shift && !direction && !trace,
          "[config] rotary, shift, direction and trace belong to models of text, not {}", name_of(family));
  check_image(image, is_autoencoder(family));
  require(!image.patch_norm || family == Family::crate, "[config] image.patch_norm belongs to crate, not {}",
          name_of(family));
  require(image.positions != Positions::sincos || dim % 4 == 0,
          "[config] sincos positions need a dim that is a multiple of 4, came {}", dim);
  if (!is_autoencoder(family)) return;
  const ModelConfig decoder = decoder_of(*this);
  require(decoder.dim == dim || family != Family::crate_mae,
          "[config] the decoder of a crate-mae mirrors its encoder: image.decoder_dim must be {}", dim);
  require(decoder.dim % decoder.heads == 0 && decoder.dim % 4 == 0,
          "[config] image.decoder_dim {} must be a multiple of 4 and of image.decoder_heads {}", decoder.dim,
          decoder.heads);
}

std::string to_json(const ModelConfig& config) {
  json out = {{"format", "crate"}, {"family", name_of(config.family)}};
  const auto write = [&](const char* name, const auto& value) { out[name] = value; };
  for_each_shared_field(config, write);
  if (is_image(config.family))
    for_each_image_field(config.image,
                         [&](const char* name, const auto& value) { out["image"][name] = written(value); });
  else
    for_each_text_field(config, write);
  return out.dump(2) + "\n";
}

ModelConfig config_from_json(std::string_view text, std::string_view where) {
  const json from = json::parse(text, nullptr, false);
  require(from.is_object(), "[config] {} is not a JSON object", where);
  require(from.contains("family"), "[config] {} names no 'family'", where);
  ModelConfig config;
  set_from(config, "family", from["family"], where);
  for (const auto& [key, value] : from.items()) {
    if (key != "format" && key != "family") set_from(config, key, value, where);
  }
  config.validate();
  return config;
}

void set_field(ModelConfig& config, std::string_view name, std::string_view value) {
  const json parsed = json::parse(value, nullptr, false);
  set_from(config, name, parsed.is_discarded() ? json(value) : parsed, "setting");
}

std::vector<std::string> field_names() {
  std::vector<std::string> names = {"family"};
  ModelConfig config;
  const auto note = [&](const char* name, const auto&) { names.emplace_back(name); };
  for_each_shared_field(config, note);
  for_each_text_field(config, note);
  for_each_image_field(config.image,
                       [&](const char* name, const auto&) { names.push_back(fmt::format("image.{}", name)); });
  return names;
}

}  // namespace crate
