// Import and export: names both ways, round trips, what files may leave out, what is refused, the authors' checkpoints.
#include "model/import.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/files/pytorch.h"
#include "model/names.h"
#include "testing/models.h"
#include "testing/reference.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

const std::string shared = CRATE_SOURCE_DIR "/../shared/fixtures/";

// A state dict under the authors' names, to be changed and written.
class StateDict {
 public:
  explicit StateDict(const LanguageModel& model) {
    for (const Param& p : model.store().all()) {
      const std::vector<double> values = numbers_of(p.value);
      std::vector<int64_t> shape;
      for (int i = 0; i < p.value.shape.rank(); ++i) shape.push_back(p.value.shape[i]);
      put(official_name(model.config().family, p.name), shape, {values.begin(), values.end()});
    }
  }
  void put(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
    const auto* begin = reinterpret_cast<const std::byte*>(values.data());
    arrays_[name] = make_array(FileDtype::f32, shape, {begin, begin + 4 * values.size()});
  }
  void copy(const std::string& from, const std::string& to) { arrays_[to] = arrays_.at(from); }
  void erase(const std::string& name) { arrays_.erase(name); }
  void prefix_all(const std::string& prefix) {
    ArrayMap renamed;
    for (auto& [name, array] : arrays_) renamed[prefix + name] = array;
    arrays_ = std::move(renamed);
  }
  void write(const std::string& path, const std::map<std::string, std::string>& metadata = {}) const {
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, a] : arrays_) tensors.push_back({name, a.dtype, a.shape, a.bytes});
    write_safetensors(path, tensors, metadata);
  }

 private:
  ArrayMap arrays_;
};

class Import : public testing::Test {
 protected:
  void TearDown() override { fs::remove(path); }

  std::unique_ptr<LanguageModel> plain_model(Family family) {
    for (const ModelCase& c : small_models()) {
      if (c.config.family != family) continue;
      auto model = std::make_unique<LanguageModel>(device, c.config);
      init_noisily(*model, 8);
      return model;
    }
    return nullptr;
  }

  std::unique_ptr<LanguageModel> read(Family family, const OfficialConfig& given = {}) {
    OfficialModel source = read_official(path);
    for (const auto& [key, value] : given) source.config[key] = value;
    return as_language_model(import_model(device, family, std::move(source)), path);
  }

  std::string refusal(Family family, const OfficialConfig& given = {{"n_head", "3"}}) {
    try {
      static_cast<void>(read(family, given));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  static void expect_same(const Model& a, const Model& b) {
    ASSERT_EQ(a.store().all().size(), b.store().all().size());
    for (std::size_t i = 0; i < a.store().all().size(); ++i) {
      const Param &p = a.store().all()[i], &q = b.store().all()[i];
      EXPECT_EQ(p.name, q.name);
      EXPECT_EQ(numbers_of(p.value), numbers_of(q.value)) << p.name;
    }
  }

  const std::string path = testing::TempDir() + "crate_import_test_" + std::to_string(getpid()) + ".safetensors";
  Device device;
};

TEST(Names, LeadBothWays) {
  EXPECT_EQ(official_name(Family::crate_lm, "blocks.11.mssa.u"), "transformer.h.11.attn.c_attn.weight");
  EXPECT_EQ(our_name(Family::gpt2, "transformer.h.3.mlp.c_proj.bias"), "blocks.3.mlp.b_out");
  EXPECT_EQ(official_name(Family::crate_gpt, "norm.scale"), "") << "crate-gpt has no final norm";
  EXPECT_EQ(official_name(Family::crate_lm, "blocks.0.mssa.temperature"), "");
  for (const char* wrong : {"transformer.h.x.attn.c_attn.weight", "transformer.h..attn.c_attn.weight",
                            "transformer.h.01.attn.c_attn.weight", "transformer.h.1.attn.c_attn.weight2", ""})
    EXPECT_EQ(our_name(Family::crate_lm, wrong), "") << wrong;
  for (const ModelCase& c : small_models()) {
    for (const auto& [name, shape, decay] : parameter_shapes(c.config)) {
      const std::string official = official_name(c.config.family, name);
      if (official.empty()) {
        EXPECT_TRUE(c.name.ends_with("_options")) << name;
      } else {
        EXPECT_EQ(our_name(c.config.family, official), name);
      }
    }
  }
}

TEST_F(Import, TakesBackWhatExportWrote) {
  for (const Family family : {Family::crate_gpt, Family::crate_lm, Family::gpt2, Family::gpt_relu}) {
    const auto model = plain_model(family);
    export_model(*model, path);
    const auto back = read(family);
    EXPECT_EQ(to_json(back->config()), to_json(model->config()));
    expect_same(*back, *model);

    const std::string pth = path + ".pth";
    export_model(*model, pth);
    OfficialModel source = read_official(pth);
    EXPECT_EQ(source.notes.size(), family == Family::crate_gpt ? 1U : 0U) << "the masks of crate-gpt are skipped";
    source.config["n_head"] = "3";
    expect_same(*import_model(device, family, std::move(source)), *model);
    const ArrayMap tensors = read_pytorch(pth).tensors;
    EXPECT_EQ(tensors.at("lm_head.weight").to_f32(), tensors.at("transformer.wte.weight").to_f32());
    EXPECT_EQ(tensors.contains("transformer.h.1.attn.bias"), family == Family::crate_gpt);
    fs::remove(pth);
  }
}

TEST_F(Import, KeepsStepsAndThresholdsThatDifferByLayer) {
  ModelConfig config = small_models()[2].config;
  config.eta = {0.1, 0.25};
  config.lambda = {0.5};
  config.norm_eps = 1e-6;
  config.atoms = 2 * config.dim;
  LanguageModel model(device, config);
  model.init(1);
  export_model(model, path);
  EXPECT_EQ(to_json(read(Family::crate_lm)->config()), to_json(config));
  EXPECT_EQ(read(Family::crate_lm, {{"eta", "0.3"}})->config().eta, std::vector<double>{0.3});
}

TEST_F(Import, SkipsWrappersMasksAndTheTiedHead) {
  const auto model = plain_model(Family::crate_lm);
  StateDict dict(*model);
  dict.copy("transformer.wte.weight", "lm_head.weight");
  dict.put("transformer.h.0.attn.bias", {1, 1, 2, 2}, {1, 0, 1, 1});
  dict.prefix_all("module._orig_mod.");
  dict.write(path);
  expect_same(*read(Family::crate_lm, {{"n_head", "3"}}), *model);
  EXPECT_EQ(read_official(path).notes.size(), 1U);
}

TEST_F(Import, FindsTheTableUnderEitherNameOfATiedHead) {
  const auto model = plain_model(Family::gpt2);
  StateDict dict(*model);
  dict.copy("transformer.wte.weight", "lm_head.weight");
  dict.erase("transformer.wte.weight");
  dict.write(path);
  expect_same(*read(Family::gpt2, {{"n_head", "3"}}), *model);
}

TEST_F(Import, KeepsAHeadThatDiffers) {
  const auto model = plain_model(Family::gpt2);
  StateDict dict(*model);
  dict.put("lm_head.weight", {23, 15}, std::vector<float>(23 * 15, 0.5F));
  dict.write(path);
  const auto untied = read(Family::gpt2, {{"n_head", "3"}});
  EXPECT_FALSE(untied->config().tied_head);
  EXPECT_EQ(numbers_of(untied->store().at("head.weight").value), std::vector<double>(23 * 15, 0.5));
}

TEST_F(Import, ReadsOptionsOffTheShapes) {
  ModelConfig config = small_models()[4].config;
  config.bias = false;
  config.layer_scale = true;
  config.atoms = 31;
  LanguageModel model(device, config);
  init_noisily(model, 2);
  StateDict(model).write(path);
  const auto back = read(Family::gpt2, {{"n_head", "3"}});
  EXPECT_EQ(to_json(back->config()), to_json(config));
  expect_same(*back, model);
}

TEST_F(Import, SaysWhatDoesNotFit) {
  const auto model = plain_model(Family::crate_lm);
  const StateDict whole(*model);
  const auto expect = [&](const std::string& text, Family family, const OfficialConfig& given) {
    const std::string message = refusal(family, given);
    EXPECT_NE(message.find(text), std::string::npos) << message;
  };
  whole.write(path);
  expect("give --config n_head=", Family::crate_lm, {});
  expect("dim 15 must be a multiple of heads 4", Family::crate_lm, {{"n_head", "4"}});
  expect("n_embd was given as 16, but the tensors say 15", Family::crate_lm, {{"n_head", "3"}, {"n_embd", "16"}});
  expect("n_layer was given as 3, but", Family::crate_lm, {{"n_head", "3"}, {"n_layer", "3"}});
  expect("block_size was given as \"x\", but", Family::crate_lm, {{"n_head", "3"}, {"block_size", "\"x\""}});
  expect("overcomplete_ratio was given as 2, but", Family::crate_lm, {{"n_head", "3"}, {"overcomplete_ratio", "2"}});
  expect("unknown hyper-parameter 'n_heads'", Family::crate_lm, {{"n_head", "3"}, {"n_heads", "3"}});
  expect("transformer.ln_f.bias, transformer.ln_f.weight", Family::crate_gpt, {{"n_head", "3"}});
  expect("tensors that a gpt2 does not have: transformer.h.0.ista.weight", Family::gpt2, {{"n_head", "3"}});
  EXPECT_EQ(refusal(Family::crate_lm, {{"n_head", "3"}, {"bias", "false"}}), "") << "crate-lm does not read the flag";

  StateDict missing = whole;
  missing.erase("transformer.h.0.ista.weight");
  missing.write(path);
  expect("misses transformer.h.0.ista.weight", Family::crate_lm, {{"n_head", "3"}});
  missing = whole;
  missing.erase("transformer.h.1.attn.c_attn.weight");
  missing.erase("transformer.ln_f.bias");
  missing.write(path);
  expect("misses transformer.h.1.attn.c_attn.weight, transformer.ln_f.bias", Family::crate_lm, {{"n_head", "3"}});

  StateDict wrong = whole;
  wrong.put("transformer.h.1.attn.c_proj.bias", {16}, std::vector<float>(16));
  wrong.write(path);
  expect("transformer.h.1.attn.c_proj.bias must be (15), came (16)", Family::crate_lm, {{"n_head", "3"}});
  wrong = whole;
  wrong.put("transformer.h.999999.attn.c_proj.bias", {15}, std::vector<float>(15));
  wrong.write(path);
  expect("misses transformer.h.2.", Family::crate_lm, {{"n_head", "3"}});

  whole.write(path, {{"family", "crate_gpt"}});
  expect("says that it holds a crate_gpt, not a crate-lm", Family::crate_lm, {{"n_head", "3"}});
  write_safetensors(path, {});
  EXPECT_NE(refusal(Family::crate_lm).find("holds no weights"), std::string::npos);
}

TEST_F(Import, NotesWhatItIgnores) {
  const auto model = plain_model(Family::crate_lm);
  StateDict(*model).write(path, {{"config", R"({"n_head": 3, "compile": true, "lambda": 0.2})"}});
  const OfficialModel source = read_official(path);
  ASSERT_EQ(source.notes.size(), 1U);
  EXPECT_NE(source.notes[0].find("compile"), std::string::npos);
  EXPECT_EQ(read(Family::crate_lm)->config().lambda, std::vector<double>{0.2});
}

TEST_F(Import, ExportsOnlyWhatTheirCodeCanExpress) {
  for (const ModelCase& c : small_models()) {
    if (!c.name.ends_with("_options")) continue;
    LanguageModel model(device, c.config);
    model.init(1);
    try {
      export_model(model, path);
      ADD_FAILURE() << c.name;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("rotary"), std::string::npos) << e.what();
    }
    EXPECT_FALSE(fs::exists(path));
  }
}

// Checkpoints as the authors' scripts write them, with the values that they hold.
TEST_F(Import, ReadsTheAuthorsCheckpoints) {
  if (!fs::exists(shared)) GTEST_SKIP() << "no " << shared;
  struct Row {
    const char *file, *values;
    Family family;
    OfficialConfig given;
  };
  const std::vector<Row> rows = {
      {"crate_lm_plain.pth", "crate_lm_s.safetensors", Family::crate_lm, {{"n_head", "4"}}},
      {"crate_lm_training.pt", "checkpoints/crate_lm_training.expected.safetensors", Family::crate_lm, {}},
      {"crate_lm_training.expected.safetensors",
       "checkpoints/crate_lm_training.expected.safetensors",
       Family::crate_lm,
       {{"n_head", "4"}}},
      {"crate_gpt_with_masks.pth", "crate_gpt_s.safetensors", Family::crate_gpt, {{"n_head", "4"}}}};
  for (const Row& row : rows) {
    OfficialModel source = read_official(shared + "checkpoints/" + row.file);
    for (const auto& [key, value] : row.given) source.config[key] = value;
    const auto model = import_model(device, row.family, std::move(source));
    EXPECT_EQ(model->config().heads, 4);
    EXPECT_EQ(model->config().context, 16);
    const ArrayMap expected = read_safetensors(shared + row.values).tensors;
    for (const Param& p : model->store().all()) {
      const Array& a = expected.at("param/" + official_name(row.family, p.name));
      EXPECT_EQ(numbers_of(p.value), a.to_f64()) << row.file << " " << p.name;
    }
  }
}

}  // namespace
}  // namespace crate
