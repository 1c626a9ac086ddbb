// Models as directories: what comes back, what is refused, reading while somebody writes.
#include "model/checkpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "testing/models.h"
#include "testing/reference.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

class Checkpoints : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder); }
  void TearDown() override { fs::remove_all(folder); }

  // What load_model says of a directory with one file replaced, its hash brought up to date.
  std::string refusal_with(const std::string& name, const std::string& content) {
    DirectoryWriter writer(folder);
    writer.text(name, content);
    writer.commit();
    try {
      static_cast<void>(load_model(device, folder));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  const std::string folder = testing::TempDir() + "crate_checkpoint_test_" + std::to_string(getpid());
  Device device;
};

TEST_F(Checkpoints, BringEveryModelBackBitForBit) {
  for (const ModelCase& c : small_models()) {
    LanguageModel model(device, c.config);
    init_noisily(model, 3);
    save_model(folder, model, {{"tokenizer.json", "{}"}});
    const auto loaded = load_model(device, folder);
    EXPECT_EQ(to_json(loaded->config()), to_json(c.config)) << c.name;
    for (const Param& p : model.store().all())
      EXPECT_EQ(numbers_of(loaded->store().at(p.name).value), numbers_of(p.value)) << c.name << " " << p.name;
    EXPECT_EQ(to_json(load_config(folder)), to_json(c.config));
    EXPECT_EQ(read_text_file(DirectoryReader(folder).path("tokenizer.json")), "{}");
    Device exact({.kind = DeviceKind::ref});
    const auto in_double = load_model(exact, folder);
    EXPECT_EQ(numbers_of(in_double->store().at("embed.tokens").value),
              numbers_of(model.store().at("embed.tokens").value));
  }
}

TEST_F(Checkpoints, TheWeightFileHoldsTheWeightsOnly) {
  LanguageModel model(device, small_models()[3].config);
  model.init(1);
  save_model(folder, model);
  const SafetensorsFile file = read_safetensors(folder + "/model.safetensors");
  EXPECT_EQ(file.tensors.size(), model.store().all().size());
  EXPECT_EQ(file.metadata.at("family"), "crate-lm");
  for (const auto& [name, array] : file.tensors) EXPECT_EQ(array.dtype, FileDtype::f32) << name;
  EXPECT_EQ(DirectoryReader(folder).hash("model.safetensors").size(), 64U);
}

TEST_F(Checkpoints, ANewModelLeavesNoOldTrainingState) {
  LanguageModel model(device, small_models()[0].config);
  model.init(1);
  {
    DirectoryWriter writer(folder);
    put_model(writer, model);
    writer.text("training.json", "{}");
    writer.commit();
  }
  save_model(folder, model);
  EXPECT_FALSE(DirectoryReader(folder).has("training.json"));
}

TEST_F(Checkpoints, NameTheFileThatDoesNotFit) {
  const ModelConfig config = small_models()[0].config;
  LanguageModel model(device, config);
  model.init(1);
  save_model(folder, model);
  ModelConfig other = config;
  other.layers = 3;
  EXPECT_NE(refusal_with("config.json", to_json(other)).find("model.safetensors has no tensor blocks.2.norm1.scale"),
            std::string::npos);
  other.layers = 1;
  EXPECT_NE(refusal_with("config.json", to_json(other)).find("has a tensor blocks.1.ista.dict that its config.json"),
            std::string::npos);
  other = config;
  other.vocab = 1 << 24;
  EXPECT_NE(refusal_with("config.json", to_json(other)).find("embed.tokens must be (16777216, 15), came (23, 15)"),
            std::string::npos);
  EXPECT_NE(refusal_with("config.json", R"({"family": "crate-gpt", "extra": 1})").find("unknown key 'extra'"),
            std::string::npos);
  EXPECT_EQ(refusal_with("config.json", to_json(config)), "");
  EXPECT_NE(refusal_with("model.safetensors", "nothing").find("model.safetensors: not a safetensors file"),
            std::string::npos);
}

TEST_F(Checkpoints, CanBeReadWhileTheyAreWritten) {
  const ModelConfig config = small_models()[2].config;
  LanguageModel model(device, config);
  model.init(0);
  save_model(folder, model);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    Device own;
    LanguageModel changing(own, config);
    for (uint64_t seed = 1; !done; ++seed) {
      changing.init(seed);
      save_model(folder, changing);
      std::this_thread::sleep_for(std::chrono::milliseconds(30));  // a training run takes longer between checkpoints
    }
  });
  for (int i = 0; i < 40; ++i) EXPECT_NO_THROW(static_cast<void>(load_model(device, folder)));
  done = true;
  writer.join();
}

}  // namespace
}  // namespace crate
