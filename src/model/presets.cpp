// Sizes of the papers: CRATE-LM and its GPT twin, arXiv 2410.16443 (released code: vocabulary padded to 50,304, context
// 1024); CRATE-GPT2, arXiv 2311.13110; GPT-2, Radford et al. 2019; CRATE, arXiv 2306.01129, and with patches of 8
// trained on ImageNet-21K, arXiv 2308.16271; CRATE-alpha, arXiv 2405.20299; CRATE-MAE, arXiv 2404.02446; ViT as in
// timm; ViT-MAE, He et al. 2021. `tiny` and `small` read bytes; `mnist`, `cifar` and `pictures` images of 28, 32 and 64
// pixels.
#include "model/presets.h"

#include "base/error.h"

namespace crate {
namespace {

struct Preset {
  std::string name;
  ModelConfig config;
};

struct Size {
  const char* suffix;
  int64_t dim, heads, layers;
};

constexpr int64_t padded = 50304;

class Table {
 public:
  Table() {
    text();
    imagenet();
    autoencoders();
    small_images();
  }
  std::vector<Preset> take() { return std::move(rows_); }

 private:
  ModelConfig& add(Family family, const Size& size) {
    ModelConfig config = config_of(family);
    config.dim = size.dim;
    config.heads = size.heads;
    config.layers = size.layers;
    return rows_.emplace_back(Preset{fmt::format("{}-{}", name_of(family), size.suffix), config}).config;
  }

  void add_text(Family family, const Size& size, int64_t vocab, int64_t context, bool bias = true) {
    ModelConfig& c = add(family, size);
    c.vocab = vocab;
    c.context = context;
    c.bias = bias;
  }

  void add_images(Family family, const Size& size, int64_t patch, int64_t classes = 1000, int64_t side = 224) {
    ImageConfig& image = add(family, size).image;
    image.height = image.width = side;
    image.patch = patch;
    image.classes = is_autoencoder(family) ? 0 : classes;
  }

  void text() {
    const std::vector<Size> paper = {
        {"1l", 128, 4, 1}, {"2l", 128, 4, 2}, {"3l", 128, 4, 3}, {"6l", 768, 12, 6}, {"12l", 768, 12, 12}};
    for (const Size& size : {Size{"base", 768, 12, 12}, Size{"large", 1280, 20, 36}})
      add_text(Family::crate_gpt, size, padded, 1024);
    for (const Size& size : paper) add_text(Family::crate_lm, size, padded, 1024);
    for (const Size& size : {Size{"base", 768, 12, 12}, Size{"medium", 1024, 16, 24}, Size{"large", 1280, 20, 36},
                             Size{"xl", 1600, 25, 48}})
      add_text(Family::gpt2, size, 50257, 1024);
    // The published sizes of the twins come out without biases, the default of nanoGPT's training configuration.
    for (const Size& size : paper) add_text(Family::gpt_relu, size, padded, 1024, false);
    for (const Family family : {Family::crate_gpt, Family::crate_lm, Family::gpt2, Family::gpt_relu}) {
      add_text(family, {"tiny", 128, 4, 4}, 257, 128);
      add_text(family, {"small", 256, 8, 6}, 257, 256);
      add_text(family, {"bench", 384, 6, 6}, 257, 256);
    }
    add_one({"tiny", 128, 4, 4}, 128);
    add_one({"small", 256, 8, 6}, 256);
    add_one({"bench", 384, 6, 6}, 256);
  }

  /// At most as many numbers and FLOPs as a gpt2 of the same size, and nearly as many: what one projection saves goes
  /// to the metrics and to atoms.
  void add_one(const Size& size, int64_t context) {
    add_text(Family::crate_lm, size, 257, context);
    rows_.back().name = fmt::format("crate-one-{}", size.suffix);
    ModelConfig& c = rows_.back().config;
    choose_crate_one(c);
    c.atoms = c.dim / 4 * 19;
  }

  /// As many numbers and FLOPs as a vit of the same size.
  void add_one_vision(const Size& size, int64_t patch, int64_t classes, int64_t side) {
    add_images(Family::crate_alpha, size, patch, classes, side);
    rows_.back().name = fmt::format("crate-one-vision-{}", size.suffix);
    ModelConfig& c = rows_.back().config;
    choose_crate_one_vision(c);
    c.atoms = 5 * size.dim;
  }

  void imagenet() {
    add_images(Family::crate, {"t", 384, 6, 12}, 16);
    add_images(Family::crate, {"s", 576, 12, 12}, 16);
    add_images(Family::crate, {"b", 768, 12, 12}, 16);
    add_images(Family::crate, {"l", 1024, 16, 24}, 16);
    // Other widths than those of the same letters above, as published.
    add_images(Family::crate, {"t8-21k", 192, 3, 12}, 8, 21841);
    add_images(Family::crate, {"s8-21k", 384, 6, 12}, 8, 21841);
    add_images(Family::crate, {"b8-21k", 768, 12, 12}, 8, 21841);
    add_images(Family::crate_alpha, {"ti16", 192, 3, 12}, 16);
    add_images(Family::crate_alpha, {"s16", 576, 12, 12}, 16);
    add_images(Family::crate_alpha, {"b32", 768, 12, 12}, 32);
    add_images(Family::crate_alpha, {"b16", 768, 12, 12}, 16);
    add_images(Family::crate_alpha, {"b8", 768, 12, 12}, 8);
    add_images(Family::crate_alpha, {"l32", 1024, 16, 24}, 32);
    add_images(Family::crate_alpha, {"l14", 1024, 16, 24}, 14);
    add_images(Family::crate_alpha, {"l8", 1024, 16, 24}, 8);
    add_images(Family::crate_alpha, {"h14", 1280, 16, 32}, 14);
    add_images(Family::vit, {"t", 192, 3, 12}, 16);
    add_images(Family::vit, {"s", 384, 6, 12}, 16);
    add_images(Family::vit, {"b", 768, 12, 12}, 16);
  }

  void add_vit_mae(const Size& size, int64_t patch, int64_t side, const Size& decoder) {
    add_images(Family::vit_mae, size, patch, 0, side);
    ImageConfig& image = rows_.back().config.image;
    image.decoder_dim = decoder.dim;
    image.decoder_heads = decoder.heads;
    image.decoder_layers = decoder.layers;
  }

  void autoencoders() {
    add_images(Family::crate_mae, {"t", 384, 6, 12}, 16);
    add_images(Family::crate_mae, {"s", 576, 12, 12}, 16);
    add_images(Family::crate_mae, {"b", 768, 12, 12}, 16);
    add_images(Family::crate_mae, {"l", 1024, 16, 24}, 16);
    add_vit_mae({"s", 384, 6, 12}, 16, 224, {"", 512, 16, 8});
    add_vit_mae({"b", 768, 12, 12}, 16, 224, {"", 512, 16, 8});
  }

  // For a CPU, all families of about the same number of parameters.
  void small_images() {
    struct Kind {
      const char* name;
      int64_t side, patch, classes;
      Size crate, alpha, vit, vit_decoder;
    };
    const std::vector<Kind> kinds = {
        {"mnist", 28, 4, 10, {"", 128, 4, 6}, {"", 72, 4, 6}, {"", 64, 4, 6}, {"", 64, 4, 3}},
        {"cifar", 32, 4, 10, {"", 256, 8, 8}, {"", 140, 4, 8}, {"", 128, 4, 8}, {"", 96, 4, 4}},
        {"pictures", 64, 8, 200, {"", 256, 8, 8}, {"", 140, 4, 8}, {"", 128, 4, 8}, {"", 96, 4, 4}}};
    for (const Kind& kind : kinds) {
      const std::size_t first = rows_.size();
      const auto named = [&](Size size) {
        size.suffix = kind.name;
        return size;
      };
      add_images(Family::crate, named(kind.crate), kind.patch, kind.classes, kind.side);
      add_images(Family::crate_alpha, named(kind.alpha), kind.patch, kind.classes, kind.side);
      add_one_vision(named(kind.vit), kind.patch, kind.classes, kind.side);
      add_images(Family::vit, named(kind.vit), kind.patch, kind.classes, kind.side);
      add_images(Family::crate_mae, named(kind.crate), kind.patch, 0, kind.side);
      add_vit_mae(named(kind.vit), kind.patch, kind.side, kind.vit_decoder);
      for (std::size_t i = first; i < rows_.size(); ++i) {
        ModelConfig& c = rows_[i].config;
        if (c.family == Family::crate_mae) c.layers = c.image.decoder_layers = c.layers / 2;
        if (kind.side == 64) continue;
        c.image.mean = kind.side == 28 ? std::vector<double>{0.1307} : std::vector<double>{0.4914, 0.4822, 0.4465};
        c.image.std = kind.side == 28 ? std::vector<double>{0.3081} : std::vector<double>{0.247, 0.2435, 0.2616};
        if (kind.side == 28) c.image.channels = 1;
      }
    }
  }

  std::vector<Preset> rows_;
};

}  // namespace

ModelConfig preset(std::string_view name) {
  std::string known;
  for (const Preset& row : Table().take()) {
    if (row.name == name) return row.config;
    known += (known.empty() ? "" : ", ") + row.name;
  }
  fail("[presets] no preset '{}'; known: {}", name, known);
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& row : Table().take()) names.push_back(row.name);
  return names;
}

std::string called(const ModelConfig& config) {
  const auto is = [&](void (*choose)(ModelConfig&)) {
    ModelConfig one = config;
    choose(one);
    return !config.shift && to_json(one) == to_json(config);
  };
  if (is(choose_crate_one)) return "crate-one";
  return is(choose_crate_one_vision) ? "crate-one-vision" : name_of(config.family);
}

}  // namespace crate
