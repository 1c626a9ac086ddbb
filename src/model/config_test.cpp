// Configurations: JSON both ways, what is refused, presets and their sizes.
#include "model/config.h"

#include <gtest/gtest.h>

#include <functional>

#include "model/parameters.h"
#include "model/presets.h"
#include "testing/folder.h"
#include "testing/models.h"

namespace crate {
namespace {

std::string refusal_of(const std::string& json) {
  return message_of([&] { config_from_json(json, "m/config.json"); });
}

TEST(Config, WritesWhatItReads) {
  for (const ModelCase& c : small_models()) {
    const std::string text = to_json(c.config);
    EXPECT_EQ(to_json(config_from_json(text, "test")), text) << c.name;
  }
}

TEST(Config, LeavesWhatIsNotGivenAtItsDefault) {
  const ModelConfig c =
      config_from_json(R"({"family": "crate_gpt", "dim": 64, "eta": 0.2, "lambda": [0.1, 0, 0.2, 1]})", "test");
  EXPECT_EQ(c.family, Family::crate_gpt);
  EXPECT_EQ(c.dim, 64);
  EXPECT_EQ(c.layers, ModelConfig{}.layers);
  EXPECT_EQ(c.eta_of(3), 0.2);
  EXPECT_EQ(c.lambda_of(3), 1);
  EXPECT_EQ(c.n_atoms(), 64);
  EXPECT_EQ(c.steps(), 1);
  EXPECT_FALSE(c.final_norm());
}

TEST(Config, NamesFileAndKeyOfWhatItRefuses) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"family": "crate-lm", "dmi": 64})", "m/config.json: unknown key 'dmi'"},
      {R"({"dim": 64})", "m/config.json names no 'family'"},
      {R"([1])", "m/config.json is not a JSON object"},
      {R"({"family": "crate-lm")", "m/config.json is not a JSON object"},
      {R"({"family": "vit-moe"})", "unknown family 'vit-moe'"},
      {R"({"family": 3})", "'family' must be a name"},
      {R"({"family": "crate-lm", "dim": "wide"})", "'dim' cannot be \"wide\""},
      {R"({"family": "crate-lm", "dim": 1.5})", "expected a whole number, came 1.5"},
      {R"({"family": "crate-lm", "ista_steps": 4294967297})", "too large"},
      {R"({"family": "crate-lm", "dim": 18446744073709551615})", "too large"},
      {R"({"family": "crate-lm", "dim": 0})", "dim must lie in"},
      {R"({"family": "crate-lm", "layers": -1})", "layers must lie in"},
      {R"({"family": "crate-lm", "dim": 100, "heads": 3})", "dim 100 must be a multiple of heads 3"},
      {R"({"family": "crate-lm", "dim": 6, "heads": 2, "rotary": true})", "even head width"},
      {R"({"family": "crate-lm", "eta": 0})", "eta must be > 0"},
      {R"({"family": "crate-lm", "lambda": -0.1})", "lambda must be >= 0"},
      {R"({"family": "crate-lm", "eta": [0.1, 0.2]})", "eta must hold 1 or 4 numbers, came 2"},
      {R"({"family": "crate-lm", "eta": []})", "eta must hold 1 or 4 numbers, came 0"},
      {R"({"family": "crate-lm", "dropout": 1})", "dropout must lie in [0, 1)"},
      {R"({"family": "crate-lm", "norm_eps": 0})", "norm_eps must lie in"},
      {R"({"family": "crate-lm", "rotary_base": 1})", "rotary_base must be > 1"},
      {R"({"family": "crate-lm", "ista_steps": 65})", "ista_steps must lie in"},
      {R"({"family": "crate-lm", "atoms": -1})", "atoms must lie in"},
      {R"({"family": "crate-lm", "lambda_per_atom": true})", "needs learn_lambda"},
      {R"({"family": "crate-gpt", "untied_dictionary": true})", "belongs to crate-lm"},
      {R"({"family": "crate", "image": {"height": 225}})", "225 x 224, must be a whole number of patches"},
      {R"({"family": "crate", "image": {"pooling": "max"}})", "expected one of cls, mean"},
      {R"({"family": "crate", "image": {"side": 3}})", "unknown key 'image.side'"},
      {R"({"family": "crate", "image": {"class_token": false}})", "pooling cls needs image.class_token"},
      {R"({"family": "crate", "rotary": true})", "belong to models of text"},
      {R"({"family": "crate", "image": {"channels": 2}})", "image.mean must hold 1 or 2 numbers"},
      {R"({"family": "crate-mae", "image": {"decoder_dim": 64}})", "mirrors its encoder"},
      {R"({"family": "vit", "dim": 150, "heads": 3, "image": {"positions": "sincos"}})", "multiple of 4"},
      {R"({"family": "crate-lm", "layer_scale": true})", "belongs to gpt2, gpt-relu and vit"},
      {R"({"family": "gpt2", "sparse_start": true})", "belongs to gpt-relu and vit"}};
  for (const auto& [json, expected] : cases)
    EXPECT_NE(refusal_of(json).find(expected), std::string::npos) << json << " gave: " << refusal_of(json);
}

TEST(Config, SetsFieldsFromText) {
  ModelConfig c;
  set_field(c, "dim", "384");
  set_field(c, "family", "gpt-relu");
  set_field(c, "eta", "[0.1, 0.2]");
  set_field(c, "lambda", "0.3");
  set_field(c, "qk_norm", "true");
  EXPECT_EQ(c.dim, 384);
  EXPECT_EQ(c.family, Family::gpt_relu);
  EXPECT_EQ(c.eta, (std::vector<double>{0.1, 0.2}));
  EXPECT_EQ(c.lambda, std::vector<double>{0.3});
  EXPECT_TRUE(c.qk_norm);
  EXPECT_NE(message_of([&] { set_field(c, "width", "3"); }).find("unknown key 'width'"), std::string::npos);
  EXPECT_NE(message_of([&] { set_field(c, "dim", "many"); }).find("'dim'"), std::string::npos);
}

// Counted without the position table, as the papers do: arXiv 2410.16443 (crate-lm and its ReLU twin), 2311.13110.
TEST(Presets, HaveTheSizesOfThePapers) {
  const std::vector<std::pair<const char*, double>> millions = {
      {"crate-lm-1l", 6.54},   {"crate-lm-2l", 6.64},    {"crate-lm-3l", 6.74},     {"crate-lm-6l", 59.89},
      {"crate-lm-12l", 81.15}, {"gpt-relu-1l", 6.64},    {"gpt-relu-2l", 6.83},     {"gpt-relu-3l", 7.03},
      {"gpt-relu-6l", 81.11},  {"gpt-relu-12l", 123.59}, {"crate-gpt-base", 59.91}, {"crate-gpt-large", 241.57}};
  for (const auto& [name, expected] : millions)
    EXPECT_NEAR(1e-6 * static_cast<double>(count_parameters(preset(name)).without_positions), expected, 0.005) << name;
  EXPECT_EQ(count_parameters(preset("gpt2-base")).all, 124439808);  // the released GPT-2 with 124 M
  EXPECT_EQ(count_parameters(preset("gpt2-medium")).all, 354823168);
  EXPECT_EQ(count_parameters(preset("gpt2-large")).all, 774030080);
}

// arXiv 2306.01129 and, with patches of 8 and the head of ImageNet-21K, 2308.16271; timm's ViT; 2405.20299 as counted
// from the released code; ViT-MAE as released.
TEST(Presets, OfImagesHaveTheSizesOfThePapers) {
  const std::vector<std::pair<const char*, double>> millions = {
      {"crate-t", 6.09},          {"crate-s", 13.12},        {"crate-b", 22.80},         {"crate-l", 77.64},
      {"crate-t8-21k", 5.74},     {"crate-s8-21k", 14.12},   {"crate-b8-21k", 38.83},    {"vit-t", 5.72},
      {"vit-s", 22.05},           {"vit-b", 86.57},          {"crate-alpha-ti16", 4.8},  {"crate-alpha-s16", 41.0},
      {"crate-alpha-b32", 74.0},  {"crate-alpha-b16", 72.3}, {"crate-alpha-b8", 72.3},   {"crate-alpha-l32", 256.0},
      {"crate-alpha-l14", 253.7}, {"crate-alpha-l8", 253.8}, {"crate-alpha-h14", 526.8}, {"vit-mae-b", 111.91}};
  for (const auto& [name, expected] : millions) {
    const bool coarse = std::string(name).starts_with("crate-alpha");  // told to one place
    EXPECT_NEAR(1e-6 * static_cast<double>(count_parameters(preset(name)).all), expected, coarse ? 0.05 : 0.005)
        << name;
  }
  EXPECT_EQ(count_parameters(preset("crate-b")).all, 22796008);
  EXPECT_EQ(count_parameters(preset("vit-s")).all, 22050664);
  EXPECT_EQ(count_parameters(preset("vit-b")).all, 86567656);
  // The published counts of the auto-encoders hold a second position table and an idle product.
  for (const auto& [name, expected] : {std::pair{"crate-mae-s", 25.4}, std::pair{"crate-mae-b", 44.6}}) {
    const ModelConfig c = preset(name);
    const int64_t idle = c.image.tokens() * c.dim + c.dim * c.dim + c.dim;
    EXPECT_NEAR(1e-6 * static_cast<double>(count_parameters(c).all + idle), expected, 0.05) << name;
  }
}

TEST(Presets, BlocksHaveTheCountedParameters) {
  const auto per_layer = [](const char* name) {
    ModelConfig c = preset(name);
    const int64_t all = count_parameters(c).all;
    c.layers += 1;
    return count_parameters(c).all - all;
  };
  const int64_t d = 768;
  EXPECT_EQ(per_layer("crate-lm-12l"), 6 * d * d + 5 * d);
  EXPECT_EQ(per_layer("crate-gpt-base"), 3 * d * d + 5 * d);
  EXPECT_EQ(per_layer("gpt2-base"), 12 * d * d + 13 * d);
  EXPECT_EQ(per_layer("gpt-relu-12l"), 12 * d * d + 2 * d);  // without biases
  EXPECT_EQ(per_layer("crate-b"), 3 * d * d + 5 * d);
  EXPECT_EQ(per_layer("crate-alpha-b16"), 10 * d * d + 4 * d);
  EXPECT_EQ(per_layer("vit-b"), 12 * d * d + 13 * d);
}

TEST(Presets, CrateOneIsCrateLmWithItsOptions) {
  const ModelConfig one = preset("crate-one-tiny");
  ModelConfig c;
  c.dim = 128;
  c.heads = 4;
  c.atoms = 608;
  c.context = 128;
  set_field(c, "family", "crate-one");
  EXPECT_EQ(to_json(c), to_json(one));
  EXPECT_EQ(one.family, Family::crate_lm);
  EXPECT_TRUE(one.metric && one.relay && one.trace && one.exclusive && one.ista_residual && one.untied_dictionary);
  EXPECT_FALSE(one.shift || one.direction);
  EXPECT_EQ(one.lambda_of(3), 2.0);
  EXPECT_EQ(called(one), "crate-one");
  EXPECT_EQ(called(preset("crate-lm-tiny")), "crate-lm");
  const int64_t d = 128, layer = 2 * d * d + 2 * d * 32 + 2 * 608 * d + 6 * d + 4 + 608;
  EXPECT_EQ(count_parameters(one).all, 4 * layer + 257 * d + 2 * d);
}

TEST(Presets, CrateOneForImagesIsCrateAlphaWithItsOptions) {
  const ModelConfig one = preset("crate-one-vision-cifar"), vit = preset("vit-cifar");
  EXPECT_EQ(one.family, Family::crate_alpha);
  EXPECT_TRUE(one.qk_norm && one.exclusive && one.ista_residual && one.untied_dictionary && one.lambda_per_atom);
  EXPECT_FALSE(one.rotary || one.trace);
  EXPECT_EQ(one.steps(), 1);
  EXPECT_EQ(called(one), "crate-one-vision");
  EXPECT_EQ(called(preset("crate-alpha-cifar")), "crate-alpha");
  ModelConfig c = preset("crate-alpha-cifar");
  set_field(c, "family", "crate-one-vision");
  c.dim = one.dim;
  c.heads = one.heads;
  c.atoms = one.atoms;
  EXPECT_EQ(to_json(c), to_json(one));
  const auto ratio = static_cast<double>(count_parameters(one).all) / static_cast<double>(count_parameters(vit).all);
  EXPECT_NEAR(ratio, 1, 0.01);
}

TEST(Presets, AreValidAndKnownByName) {
  EXPECT_GE(preset_names().size(), 20U);
  for (const std::string& name : preset_names()) {
    EXPECT_NO_THROW(preset(name).validate()) << name;
    EXPECT_TRUE(name.starts_with(name_of(preset(name).family)) || name.starts_with("crate-one-")) << name;
  }
  for (const char* family : {"crate-gpt", "crate-lm", "gpt2", "gpt-relu"})
    EXPECT_EQ(preset(std::string(family) + "-tiny").vocab, 257) << family;
  EXPECT_NE(message_of([] { preset("crate-lm-13l"); }).find("crate-lm-12l"), std::string::npos);
}

TEST(Parameters, AreCountedWithoutBuildingTheModel) {
  for (const ModelCase& c : small_models()) {
    Device device;
    const LanguageModel model(device, c.config);
    EXPECT_EQ(count_parameters(c.config).all, model.parameters()) << c.name;
    EXPECT_EQ(count_parameters(c.config).all - count_parameters(c.config).without_positions,
              c.config.learned_positions ? c.config.context * c.config.dim : 0);
  }
}

}  // namespace
}  // namespace crate
