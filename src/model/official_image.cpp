#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/names.h"
#include "model/official.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 23> known = {
    "dim",           "heads",        "dim_head",           "depth",     "image_size",   "patch_size",  "channels",
    "num_classes",   "pool",         "overcomplete_ratio", "mlp_ratio", "qkv_bias",     "global_pool", "eta",
    "lambda",        "ln_eps",       "head_ln_eps",        "dropout",   "outer_ln_eps", "mask_ratio",  "norm_pix_loss",
    "decoder_depth", "decoder_heads"};

// The whole number whose square this is; 0 when there is none.
int64_t root_of(int64_t square) {
  const auto root = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(square))));
  return root * root == square ? root : 0;
}

const std::string* given(const OfficialModel& source, const char* key) {
  const auto it = source.config.find(key);
  return it == source.config.end() ? nullptr : &it->second;
}

int64_t whole_number(const OfficialModel& source, const char* key, const json& value) {
  require(value.is_number_integer() && value > 0 && value < (1 << 24), "{}: {} must be a whole number, came {}",
          source.path, key, value.dump());
  return value.get<int64_t>();
}

// [rows, columns], or one number for both.
std::pair<int64_t, int64_t> pair_given(const OfficialModel& source, const char* key) {
  const json value = json::parse(*given(source, key), nullptr, false);
  if (!value.is_array()) {
    const int64_t both = whole_number(source, key, value);
    return {both, both};
  }
  require(value.size() == 2, "{}: {} must be one or two numbers, came {}", source.path, key, value.dump());
  return {whole_number(source, key, value[0]), whole_number(source, key, value[1])};
}

// Patches: from the kernel where there is one; CRATE's is a matrix, which tells only how many numbers a patch has.
void read_patches(ModelConfig& c, const OfficialModel& source) {
  ImageConfig& image = c.image;
  int64_t rows = 0, columns = 0;
  if (c.family == Family::crate) {
    const int64_t numbers = tensor_of(source, c.family, "embed.patch", 2).shape[1];
    if (const std::string* channels = given(source, "channels"))
      image.channels = whole_number(source, "channels", json::parse(*channels, nullptr, false));
    if (given(source, "patch_size"))
      std::tie(rows, columns) = pair_given(source, "patch_size");
    else
      rows = columns = root_of(numbers / image.channels);
    require(rows > 0 && rows * columns * image.channels == numbers,
            "{}: the numbers of a patch, {}, do not fit; give --config patch_size=... and channels=...", source.path,
            numbers);
  } else {
    const Array& kernel = tensor_of(source, c.family, "embed.patch", 4);
    image.channels = kernel.shape[1];
    rows = kernel.shape[2];
    columns = kernel.shape[3];
  }
  image.patch = rows;
  image.patch_width = columns == rows ? 0 : columns;
}

void read_size(ModelConfig& c, const OfficialModel& source) {
  ImageConfig& image = c.image;
  const int64_t n = tensor_of(source, c.family, "embed.pos", 3).shape[1] - 1;
  if (given(source, "image_size")) {
    std::tie(image.height, image.width) = pair_given(source, "image_size");
  } else {
    const int64_t side = root_of(n);
    require(side > 0, "{}: {} positions are no square; give --config image_size=[rows,columns]", source.path, n);
    image.height = side * image.patch;
    image.width = side * image.patch_columns();
  }
}

void read_heads(ModelConfig& c, const OfficialModel& source) {
  const bool white = is_white_box(c.family);
  const int64_t rows = tensor_of(source, c.family, white ? "blocks.0.mssa.u" : "blocks.0.mha.qkv", 2).shape[0];
  const int64_t width = white ? rows : rows / 3;
  const char* key = given(source, "heads") ? "heads" : "dim_head";
  require(given(source, key), "{}: the shapes do not tell the number of heads; give --config heads=...", source.path);
  const int64_t number = whole_number(source, key, json::parse(*given(source, key), nullptr, false));
  require(width % number == 0, "{}: {} {} does not divide the width of the attention, {}", source.path, key, number,
          width);
  c.heads = *key == 'h' ? number : width / number;
  c.head_width = width == c.dim ? 0 : width / c.heads;
}

void read_decoder(ModelConfig& c, const OfficialModel& source) {
  const int64_t dim = tensor_of(source, c.family, "decoder.norm.scale", 1).shape[0];
  c.image.decoder_dim = dim == c.dim ? 0 : dim;
  const int64_t layers = count_layers(source, "decoder.blocks.");
  c.image.decoder_layers = layers == c.layers ? 0 : layers;
  if (const std::string* heads = given(source, "decoder_heads")) {
    const int64_t number = whole_number(source, "decoder_heads", json::parse(*heads, nullptr, false));
    c.image.decoder_heads = number == c.heads ? 0 : number;
  }
}

ModelConfig config_from_shapes(const OfficialModel& source, Family family) {
  ModelConfig c = config_of(family);
  c.dim = tensor_of(source, family, "embed.patch", family == Family::crate ? 2 : 4).shape[0];
  read_patches(c, source);
  read_size(c, source);
  c.layers = count_layers(source);
  read_heads(c, source);
  if (!has_square_code(family)) {
    const Array& second =
        tensor_of(source, family, is_white_box(family) ? "blocks.0.ista.dict" : "blocks.0.mlp.w_in", 2);
    const int64_t m = second.shape[is_white_box(family) ? 1 : 0];
    c.atoms = m == 4 * c.dim ? 0 : m;
  }
  c.qkv_bias = is_white_box(family) || source.tensors.contains("blocks.0.mha.qkv_bias");
  if (is_autoencoder(family)) read_decoder(c, source);
  c.image.classes = source.tensors.contains("head.weight") ? tensor_of(source, family, "head.weight", 2).shape[0] : 0;
  return c;
}

// Applies one hyper-parameter; false when its name means nothing here. Those that shaped the configuration agree.
bool apply(ModelConfig& c, const std::string& key, const std::string& value, const OfficialModel& source) {
  const auto agree = [&](const std::string& shapes_tell) {
    must_agree(source, key, shapes_tell);
    return true;
  };
  if (key == "image_size") return true;
  if (key == "patch_size") {
    const auto [rows, columns] = pair_given(source, "patch_size");
    require(rows == c.image.patch && columns == c.image.patch_columns(),
            "{}: patch_size was given as {}, but the tensors say {} x {}", source.path, value, c.image.patch,
            c.image.patch_columns());
    return true;
  }
  if (key == "decoder_depth") return agree(std::to_string(decoder_of(c).layers));
  if (key == "decoder_heads") return agree(std::to_string(decoder_of(c).heads));
  if (key == "channels") return agree(std::to_string(c.image.channels));
  if (key == "dim") return agree(std::to_string(c.dim));
  if (key == "depth") return agree(std::to_string(c.layers));
  if (key == "heads") return agree(std::to_string(c.heads));
  if (key == "dim_head") return agree(std::to_string(c.head_dim()));
  if (key == "num_classes") return agree(std::to_string(c.image.classes));
  if (key == "qkv_bias") return is_white_box(c.family) || agree(c.qkv_bias ? "true" : "false");
  if (key == "overcomplete_ratio" || key == "mlp_ratio")
    return agree(json(static_cast<double>(c.n_atoms()) / static_cast<double>(c.dim)).dump());
  if (key == "global_pool") {
    require(value == "false", "{}: global_pool norms twice in the authors' code, which is not read here", source.path);
    return true;
  }
  const std::map<std::string, const char*> same = {{"pool", "image.pooling"},
                                                   {"eta", "eta"},
                                                   {"lambda", "lambda"},
                                                   {"ln_eps", "norm_eps"},
                                                   {"head_ln_eps", "final_norm_eps"},
                                                   {"outer_ln_eps", "final_norm_eps"},
                                                   {"mask_ratio", "image.mask_ratio"},
                                                   {"norm_pix_loss", "image.norm_pix"},
                                                   {"dropout", "dropout"}};
  const auto it = same.find(key);
  if (it == same.end()) return false;
  set_field(c, it->second, value);
  return true;
}

std::string pair_text(int64_t rows, int64_t columns) { return fmt::format("[{},{}]", rows, columns); }

}  // namespace

bool is_image_setting(std::string_view key) { return std::find(known.begin(), known.end(), key) != known.end(); }

ModelConfig image_config(const OfficialModel& source, Family family) {
  ModelConfig c = config_from_shapes(source, family);
  for (const auto& [key, value] : source.config) {
    require(apply(c, key, value, source), "unknown hyper-parameter '{}'; known: {}", key, fmt::join(known, " "));
  }
  c.validate();
  return c;
}

OfficialConfig official_image_config(const ModelConfig& c) {
  OfficialConfig out = {{"dim", std::to_string(c.dim)},
                        {"heads", std::to_string(c.heads)},
                        {"depth", std::to_string(c.layers)},
                        {"channels", std::to_string(c.image.channels)},
                        {"image_size", pair_text(c.image.height, c.image.width)},
                        {"patch_size", pair_text(c.image.patch, c.image.patch_columns())},
                        {"num_classes", std::to_string(c.image.classes)},
                        {"ln_eps", json(c.norm_eps).dump()}};
  out["pool"] = c.image.pooling == Pooling::cls ? "\"cls\"" : "\"mean\"";
  if (is_white_box(c.family)) {
    out["dim_head"] = std::to_string(c.head_dim());
    out["eta"] = one_or_all(c.eta);
    out["lambda"] = one_or_all(c.lambda);
  } else {
    out["qkv_bias"] = c.qkv_bias ? "true" : "false";
    out["mlp_ratio"] = json(static_cast<double>(c.n_atoms()) / static_cast<double>(c.dim)).dump();
  }
  if (is_autoencoder(c.family)) {
    out.erase("num_classes");
    out.erase("pool");
    out["mask_ratio"] = json(c.image.mask_ratio).dump();
    out["norm_pix_loss"] = c.image.norm_pix ? "true" : "false";
    out["decoder_depth"] = std::to_string(decoder_of(c).layers);
    out["decoder_heads"] = std::to_string(decoder_of(c).heads);
  }
  if (c.final_norm_eps > 0)
    out[is_autoencoder(c.family) ? "outer_ln_eps" : "head_ln_eps"] = json(c.final_norm_eps).dump();
  if (has_wide_code(c.family))
    out["overcomplete_ratio"] = json(static_cast<double>(c.n_atoms()) / static_cast<double>(c.dim)).dump();
  if (c.dropout > 0) out["dropout"] = json(c.dropout).dump();
  return out;
}

}  // namespace crate
