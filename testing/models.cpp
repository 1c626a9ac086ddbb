#include "testing/models.h"

#include "base/rng.h"

namespace crate {
namespace {

ModelConfig plain(Family family) {
  ModelConfig c;
  c.family = family;
  c.dim = 15;
  c.heads = 3;
  c.layers = 2;
  c.vocab = 23;
  c.context = 11;
  return c;
}

ModelConfig with_options(Family family) {
  ModelConfig c = plain(family);
  c.dim = 12;
  c.heads = 2;
  c.qk_norm = c.rotary = true;
  c.learned_positions = c.tied_head = c.bias = false;
  c.dropout = 0.2;
  c.shift = c.direction = c.exclusive = true;  // recipes leave them on for a twin too, which has neither
  if (!is_white_box(family)) {
    c.layer_scale = true;
    c.atoms = 29;
    return c;
  }
  c.learn_eta = c.learn_lambda = c.lambda_per_atom = c.ista_residual = true;
  c.eta = {0.1, 0.2};
  c.lambda = {0.05, 0.1};
  c.ista_steps = 3;
  c.untied_dictionary = family == Family::crate_lm;
  c.atoms = family == Family::crate_lm ? 29 : 0;
  return c;
}

ModelConfig plain_image(Family family) {
  ModelConfig c = config_of(family);
  c.dim = is_autoencoder(family) ? 12 : 15;
  c.heads = 3;
  c.layers = 2;
  c.image.height = 8;
  c.image.width = 6;
  c.image.patch = 4;
  c.image.patch_width = 2;
  if (!is_autoencoder(family)) c.image.classes = 7;
  if (is_autoencoder(family)) c.image.mask_ratio = 0.6;
  return c;
}

// Width of the heads, positions, pooling and the options of the blocks.
ModelConfig image_options(Family family) {
  ModelConfig c = plain_image(family);
  c.qk_norm = true;
  c.dropout = 0.2;
  if (is_autoencoder(family)) {
    c.image.norm_pix = true;
    c.image.decoder_layers = 1;
    c.image.decoder_heads = 2;
    c.image.decoder_dim = family == Family::vit_mae ? 8 : 0;
    return c;
  }
  c.head_width = 3;
  c.image.pooling = Pooling::mean;
  if (family == Family::vit) {
    c.layer_scale = true;
    c.qkv_bias = false;
    c.atoms = 29;
    c.image.positions = Positions::none;
    return c;
  }
  c.exclusive = c.learn_eta = c.learn_lambda = true;
  c.dim = 12;
  c.image.positions = Positions::sincos;
  c.image.class_token = c.image.patch_norm = false;
  c.ista_residual = family == Family::crate;
  return c;
}

// One head as wide as the stream: no product after the attention.
ModelConfig one_head(Family family) {
  ModelConfig c = plain_image(family);
  c.heads = 1;
  return c;
}

// crate-one, with thresholds that let atoms of a model that was never trained through.
ModelConfig one_text() {
  ModelConfig c = plain(Family::crate_lm);
  choose_crate_one(c);
  c.dim = 12;
  c.heads = 3;
  c.tied_head = false;
  c.lambda = {0.2};
  c.atoms = 29;
  return c;
}

ModelConfig one_vision() {
  ModelConfig c = plain_image(Family::crate_alpha);
  choose_crate_one_vision(c);
  c.lambda = {0.2};
  return c;
}

}  // namespace

std::vector<ModelCase> small_image_models() {
  std::vector<ModelCase> cases;
  for (const Family family : {Family::crate, Family::crate_alpha, Family::vit, Family::crate_mae, Family::vit_mae}) {
    std::string name = name_of(family);
    for (char& c : name) c = c == '-' ? '_' : c;
    cases.push_back({name + "_plain", plain_image(family)});
    if (is_white_box(family)) cases.push_back({name + "_one_head", one_head(family)});
    cases.push_back({name + "_options", image_options(family)});
  }
  cases.push_back({"crate_one_vision_options", one_vision()});
  return cases;
}

std::vector<ModelCase> small_models() {
  std::vector<ModelCase> cases;
  for (const Family family : {Family::crate_gpt, Family::crate_lm, Family::gpt2, Family::gpt_relu}) {
    std::string name = name_of(family);
    for (char& c : name) c = c == '-' ? '_' : c;  // as test names must be
    cases.push_back({name + "_plain", plain(family)});
    cases.push_back({name + "_options", with_options(family)});
  }
  cases.push_back({"crate_one_options", one_text()});
  return cases;
}

void init_noisily(Model& model, uint64_t seed) {
  model.init(seed);
  const Rng rng(seed, Stream::test);
  uint64_t number = 0;
  for (Param& p : model.store().all()) {
    ++number;
    const bool step = p.name.ends_with("ista.eta") || p.name.ends_with("ista.lambda");
    const auto add = [&](auto* values) {
      for (int64_t i = 0; i < p.value.numel(); ++i) {
        const double noise = rng.normal(number, static_cast<uint64_t>(i));
        values[i] = static_cast<float>(re(values[i]) + (step ? 0.01 : 0.15) * noise);
      }
    };
    if (p.value.dtype == Dtype::f32)
      add(p.value.as<float>());
    else
      visit_ref(p.value.dtype, [&](auto zero) { add(p.value.as<decltype(zero)>()); });
  }
  model.store().values_changed();
}

Batch::Batch(int64_t rows, int64_t cols, int64_t vocab, uint64_t seed) : shape_{rows, cols} {
  const Rng rng(seed, Stream::test);
  const auto draw = [&](int64_t i) {
    return static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab), 1000, static_cast<uint64_t>(i)));
  };
  for (int64_t i = 0; i < rows * cols; ++i) {
    tokens_.push_back(draw(i));
    targets_.push_back(i % 5 == 4 ? -1 : draw(i + 1));
  }
}

PixelBatch::PixelBatch(const ModelConfig& config, int64_t rows, int64_t more, uint64_t seed)
    : shape_{rows, config.image.channels, config.image.height + more * config.image.patch,
             config.image.width + more * config.image.patch_columns()},
      classes_(config.image.classes),
      patches_((config.image.rows() + more) * (config.image.columns() + more)) {
  const Rng rng(seed, Stream::test);
  const auto draw = [&](std::vector<float>& to, int64_t count, uint64_t of, bool normal) {
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<uint64_t>(i);
      to.push_back(static_cast<float>(normal ? rng.normal(of, at) : rng.uniform(of, at)));
    }
  };
  draw(images_, shape_.numel(), 1, true);
  draw(targets_, rows * classes_, 2, false);
  draw(noise_, rows * patches_, 3, false);
}

}  // namespace crate
