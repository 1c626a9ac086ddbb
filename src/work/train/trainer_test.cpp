// Training: it learns, resumes bit for bit, splits batches without changing them, and refuses what it must not mix up.
#include "work/train/trainer.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "model/checkpoint.h"
#include "testing/folder.h"
#include "work/data/bpe_train.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

class Training : public testing::Test {
 protected:
  void SetUp() override {
    write("text.txt", [] {
      std::string text;
      for (int i = 0; i < 200; ++i) text += "to be or not to be, that is question " + std::to_string(i * i) + "\n";
      return text;
    }());
    recipe.model.dim = 16;
    recipe.model.heads = 2;
    recipe.model.layers = 2;
    recipe.model.context = 16;
    recipe.model.dropout = 0.1;
    recipe.data.train = at("text.txt");
    recipe.train = {
        .steps = 12, .batch = 4, .eval_every = 4, .eval_tokens = 256, .checkpoint_every = 4, .log_every = 5};
    recipe.optimizer.lr = 1e-2;
    recipe.schedule.warmup = 2;
  }

  std::string at(const std::string& name) const { return folder_.at(name); }
  void write(const std::string& name, const std::string& text) const { folder_.with(name, text); }
  TrainOptions into(const std::string& out) const {
    TrainOptions o;
    o.out = at(out);
    return o;
  }
  // Ends after `steps` reports of a step each, as a request to stop would.
  TrainResult stopped_after(const std::string& out, int64_t steps, bool force = false) {
    std::atomic<bool> stop = steps == 0;
    Recipe short_reports = recipe;
    short_reports.train.log_every = 1;
    TrainOptions o = into(out);
    o.stop = &stop;
    o.force = force;
    o.observer.step = [&](const StepReport& r) { stop = r.step >= steps; };
    return train(short_reports, o);
  }
  std::string error_of(const TrainOptions& options) const {
    try {
      train(recipe, options);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  std::string bytes(const std::string& out, const std::string& name) const {
    return read_text_file(at(out) + "/" + name);
  }

  Folder folder_;
  Recipe recipe;
};

TEST_F(Training, LearnsAndReports) {
  recipe.train.steps = 60;
  recipe.model.dropout = 0;
  std::vector<StepReport> reports;
  std::vector<double> validation;
  int64_t traced = 0;
  TrainOptions o = into("m");
  o.observer.step = [&](const StepReport& r) { reports.push_back(r); };
  o.observer.evaluated = [&](int64_t, const Validation& v, bool) { validation.push_back(v.loss); };
  o.observer.traced = [&](const crate::Run& run) { traced += static_cast<int64_t>(run.trace().size()); };
  const TrainResult result = train(recipe, o);
  EXPECT_EQ(result.step, 60);
  EXPECT_FALSE(result.stopped);
  ASSERT_EQ(reports.size(), 12u);
  EXPECT_NEAR(reports.front().loss, std::log(257.0), 1.0);
  EXPECT_LT(reports.back().loss, 0.75 * reports.front().loss);
  EXPECT_LT(validation.back(), validation.front());
  EXPECT_NEAR(value_of(reports[1].metrics, "bits_per_byte"), reports[1].loss / std::log(2.0),
              1e-9);  // bytes: no separator inside the text
  EXPECT_EQ(reports.back().seen, 60 * 4 * 16);
  EXPECT_GT(reports.back().code_nonzero, 0);
  EXPECT_LT(reports.back().code_nonzero, 1);
  EXPECT_GT(traced, 10);
  std::ifstream metrics(at("m") + "/metrics.jsonl");
  std::size_t lines = 0;
  for (std::string line; std::getline(metrics, line); ++lines)
    EXPECT_TRUE(nlohmann::json::parse(line).contains("step"));
  EXPECT_EQ(lines, reports.size() + validation.size());
}

TEST_F(Training, WritesDownWhatEveryLayerDoes) {
  recipe.train.measure_every = 6;
  recipe.train.measure_samples = 3;
  std::vector<int64_t> steps;
  TrainOptions o = into("m");
  o.observer.measured = [&](int64_t step, const Measurement& m) {
    steps.push_back(step);
    EXPECT_EQ(m.samples, 3);
  };
  train(recipe, o);
  EXPECT_EQ(steps, (std::vector<int64_t>{6, 12}));
  std::ifstream metrics(at("m") + "/metrics.jsonl");
  int64_t seen = 0;
  for (std::string line; std::getline(metrics, line);) {
    const nlohmann::json j = nlohmann::json::parse(line);
    if (!j.contains("layer_rate_c")) continue;
    ++seen;
    for (const char* key : {"layer_rate", "layer_rate_c", "layer_rate_c_step", "layer_nonzero", "layer_between",
                            "layer_cosine", "layer_objective_before", "layer_objective_after"})
      EXPECT_EQ(j[key].size(), 2u) << key;
  }
  EXPECT_EQ(seen, 2);
  // Looking changes nothing.
  recipe.train.measure_every = 0;
  train(recipe, into("unseen"));
  EXPECT_TRUE(bytes("m", "model.safetensors") == bytes("unseen", "model.safetensors"));
}

TEST_F(Training, BeginsWithTheWeightsOfAnotherModel) {
  const TrainResult first = train(recipe, into("first"));
  recipe.train.init_from = at("first");
  recipe.train.seed += 1;
  recipe.train.steps = 1;
  recipe.schedule.warmup = 0;
  recipe.optimizer.lr = 1e-9;
  const TrainResult second = train(recipe, into("second"));
  EXPECT_NEAR(second.validation.loss, first.validation.loss, 1e-4);
  recipe.model.dim *= 2;
  try {
    train(recipe, into("third"));
    FAIL() << "other shapes must be refused";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("embed"), std::string::npos) << e.what();
  }
}

TEST_F(Training, ResumesBitForBit) {
  for (const char* optimizer : {"adamw", "lion", "muon"}) {
    recipe.optimizer.name = optimizer;
    const std::string whole = std::string("whole-") + optimizer, broken = std::string("broken-") + optimizer;
    recipe.train.log_every = 1;
    train(recipe, into(whole));
    EXPECT_TRUE(stopped_after(broken, 7).stopped);
    EXPECT_EQ(load_config(at(broken)).dim, 16);
    TrainOptions o = into(broken);
    o.resume = true;
    EXPECT_FALSE(train(recipe, o).stopped);
    for (const char* name : {"model.safetensors", "training_state.safetensors", "training.json", "config.json"})
      EXPECT_TRUE(bytes(whole, name) == bytes(broken, name)) << optimizer << " " << name;
  }
}

TEST_F(Training, MuonTakesTheMatricesOfTheBlocks) {
  recipe.optimizer.name = "muon";
  recipe.model.dropout = 0;
  recipe.model.family = Family::gpt2;
  recipe.train.steps = 60;
  const TrainResult result = train(recipe, into("m"));
  EXPECT_LT(result.validation.loss, 0.75 * std::log(257.0));
  const ArrayMap state = read_safetensors(at("m") + "/training_state.safetensors").tensors;
  for (const auto& [name, array] : state) {
    if (!name.starts_with("m/")) continue;
    const bool matrix = name.starts_with("m/blocks.") && array.shape.size() == 2;
    EXPECT_EQ(state.contains("v/" + name.substr(2)), !matrix) << name;
  }
  EXPECT_TRUE(state.contains("m/blocks.1.mha.qkv"));
}

TEST_F(Training, ResumesTheAverageOfTheWeightsToo) {
  recipe.train.ema = 0.9;
  recipe.train.log_every = 1;
  const TrainResult whole = train(recipe, into("whole"));
  EXPECT_GT(whole.averaged.loss, 0);
  EXPECT_NE(whole.averaged.loss, whole.validation.loss);
  stopped_after("broken", 7);
  TrainOptions o = into("broken");
  o.resume = true;
  train(recipe, o);
  for (const char* name : {"model.safetensors", "training_state.safetensors", "ema/model.safetensors"})
    EXPECT_TRUE(bytes("whole", name) == bytes("broken", name)) << name;
  EXPECT_EQ(load_config(at("whole") + "/ema").dim, 16);
  const nlohmann::json last =
      nlohmann::json::parse(read_text_file(at("whole") + "/metrics.jsonl")
                                .substr(read_text_file(at("whole") + "/metrics.jsonl").rfind("\n{") + 1));
  EXPECT_DOUBLE_EQ(last.at("ema_loss").get<double>(), whole.averaged.loss);
}

TEST_F(Training, TheAverageIsTheDefinedSum) {
  recipe.train.steps = 2;
  recipe.train.ema = 0.3;  // step 1: (1 + 1) / (10 + 1), step 2: 3 / 12, both below it
  recipe.train.checkpoint_every = 1;
  std::map<int64_t, std::vector<float>> weights;
  TrainOptions o = into("m");
  std::vector<float> average;
  o.observer.saved = [&](int64_t, const std::string& folder) {
    const auto now = read_safetensors(folder + "/model.safetensors").tensors.at("embed.tokens").to_f32();
    if (weights.empty()) {  // before the first step the average is what the weights begin with
      Device device;
      LanguageModel fresh(device, recipe.model);
      fresh.init(recipe.train.seed);
      const Tensor t = fresh.store().at("embed.tokens").value;
      average.assign(t.as<float>(), t.as<float>() + t.numel());
    }
    const auto step = static_cast<int64_t>(weights.size()) + 1;
    weights[step] = now;
    const double decay = average_decay(recipe.train.ema, step);
    for (std::size_t i = 0; i < now.size(); ++i)
      average[i] = static_cast<float>(decay * average[i] + (1 - decay) * now[i]);
    const auto kept = read_safetensors(folder + "/ema/model.safetensors").tensors.at("embed.tokens").to_f32();
    for (std::size_t i = 0; i < now.size(); ++i) ASSERT_NEAR(kept[i], average[i], 1e-6) << step << " " << i;
  };
  train(recipe, o);
  EXPECT_EQ(weights.size(), 2u);
}

TEST_F(Training, PartsOfABatchAddUpToIt) {
  recipe.model.dropout = 0;
  recipe.train.steps = 4;
  const double whole = train(recipe, into("whole")).validation.loss;
  recipe.train.micro_batches = 4;
  EXPECT_NEAR(train(recipe, into("parts")).validation.loss, whole, 1e-4);
  recipe.train.recompute = true;
  EXPECT_NEAR(train(recipe, into("recomputed")).validation.loss, whole, 1e-4);
}

TEST_F(Training, OverwritesNothingUnasked) {
  train(recipe, into("m"));
  const std::string before = bytes("m", "model.safetensors");
  const std::string said = error_of(into("m"));
  EXPECT_NE(said.find(at("m")), std::string::npos) << said;
  EXPECT_NE(said.find("--force"), std::string::npos) << said;
  EXPECT_TRUE(bytes("m", "model.safetensors") == before);
}

TEST_F(Training, ARunStartedOverIsTheOneThatIsResumed) {
  train(recipe, into("m"));
  recipe.train.seed = 2;
  EXPECT_EQ(stopped_after("m", 0, true).step, 0);
  const nlohmann::json state = nlohmann::json::parse(bytes("m", "training.json"));
  EXPECT_EQ(state["step"], 0);
  EXPECT_EQ(state["seed"], 2);
}

TEST_F(Training, StartingOverLeavesNoTokenizerOfTheLastRun) {
  recipe.train.steps = 2;
  const auto learned = train_bpe([&](const TextSink& sink) { sink(read_text_file(at("text.txt"))); }, 280);
  write("tokenizer.json", learned->to_json());
  recipe.data.tokenizer = at("tokenizer.json");
  recipe.model.vocab = 280;
  train(recipe, into("m"));
  EXPECT_TRUE(DirectoryReader(at("m")).has("tokenizer.json"));
  recipe.data.tokenizer = "bytes";
  recipe.model.vocab = 257;
  TrainOptions o = into("m");
  o.force = true;
  train(recipe, o);
  EXPECT_FALSE(DirectoryReader(at("m")).has("tokenizer.json"));
}

TEST_F(Training, RefusesToResumeAnotherRun) {
  stopped_after("m", 3);
  TrainOptions o = into("m");
  o.resume = true;
  const Recipe good = recipe;
  recipe.model.dim = 32;
  EXPECT_NE(error_of(o).find("another model"), std::string::npos) << error_of(o);
  recipe = good;
  recipe.train.seed = 5;
  EXPECT_NE(error_of(o).find("seed"), std::string::npos) << error_of(o);
  recipe = good;
  recipe.optimizer.name = "lion";
  EXPECT_NE(error_of(o).find("adamw"), std::string::npos) << error_of(o);
  recipe = good;
  std::string text = read_text_file(at("text.txt"));
  text[text.size() / 3] ^= 1;
  write("text.txt", text);
  EXPECT_NE(error_of(o).find("other data"), std::string::npos) << error_of(o);
}

TEST_F(Training, RefusesTextsItCannotLearnFrom) {
  write("empty.txt", "");
  recipe.data.train = at("empty.txt");
  EXPECT_NE(error_of(into("m")).find("empty.txt"), std::string::npos) << error_of(into("m"));
  write("short.txt", "short");
  recipe.data.train = at("short.txt");
  EXPECT_NE(error_of(into("m")).find("context"), std::string::npos) << error_of(into("m"));
  EXPECT_FALSE(fs::exists(at("m")));
}

TEST_F(Training, ALossThatIsNoNumberKeepsTheLastCheckpoint) {
  stopped_after("m", 3);
  const std::string before = bytes("m", "model.safetensors");
  recipe.optimizer.lr = 1e30;
  recipe.optimizer.clip = 0;
  TrainOptions o = into("m");
  o.resume = true;
  const std::string said = error_of(o);
  EXPECT_NE(said.find("optimizer.lr"), std::string::npos) << said;
  EXPECT_TRUE(bytes("m", "model.safetensors") == before);
}

}  // namespace
}  // namespace crate
