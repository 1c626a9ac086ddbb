// Recipes: values, overrides, errors that name key and remedy; learning-rate schedules.
#include "work/train/recipe.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "testing/folder.h"

namespace crate {
namespace {

class Recipes : public testing::Test {
 protected:
  std::string file(const std::string& text) const { return folder_.with("r.toml", text); }
  std::string error_of(const std::string& text, const std::vector<std::string>& set = {}) const {
    return message_of([&] { static_cast<void>(load_recipe(file(text), set)); });
  }
  Folder folder_;
};

const char* small = R"(
[model]
family = "crate-gpt"
dim = 32
eta = [0.1, 0.2]
layers = 2
[data]
train = "text.txt"
[train]
steps = 7
recompute = true
[optimizer]
lr = 2e-3
)";

TEST_F(Recipes, ValuesDefaultsAndOverrides) {
  folder_.with("text.txt", "x");
  const Recipe r = load_recipe(file(small), {"train.batch=3", "optimizer.name=lion", "model.family=crate-lm"});
  EXPECT_EQ(r.model.family, Family::crate_lm);
  EXPECT_EQ(r.model.dim, 32);
  EXPECT_EQ(r.model.eta, (std::vector<double>{0.1, 0.2}));
  EXPECT_EQ(r.train.steps, 7);
  EXPECT_EQ(r.train.batch, 3);
  EXPECT_TRUE(r.train.recompute);
  EXPECT_EQ(r.optimizer.name, "lion");
  EXPECT_DOUBLE_EQ(r.optimizer.lr, 2e-3);
  EXPECT_DOUBLE_EQ(r.optimizer.beta2, 0.95);
  EXPECT_TRUE(std::filesystem::equivalent(r.data.train, folder_.at("text.txt")));  // found beside the recipe
  EXPECT_NE(r.text.find("train.batch = 3\n"), std::string::npos);
}

TEST_F(Recipes, PresetsGiveSizesThatKeysChange) {
  const Recipe r = load_recipe(file("[model]\npreset = \"crate-lm-12l\"\ncontext = 64\n[data]\ntrain = \"t\"\n"));
  EXPECT_EQ(r.model.layers, 12);
  EXPECT_EQ(r.model.context, 64);
}

TEST_F(Recipes, UnknownKeysNameTheNearest) {
  for (const auto& [key, meant] : {std::pair{"train.stepz=3", "train.steps"},
                                   {"model.famly=gpt2", "model.family"},
                                   {"optimiser.lr=1", "optimizer.lr"}}) {
    const std::string said = error_of(small, {key});
    EXPECT_NE(said.find("r.toml"), std::string::npos) << said;
    EXPECT_NE(said.find(std::string("did you mean '") + meant + "'"), std::string::npos) << said;
  }
}

TEST_F(Recipes, ErrorsNameTheKey) {
  EXPECT_NE(error_of(small, {"train.steps=7.5"}).find("train.steps must be a whole number"), std::string::npos);
  EXPECT_NE(error_of(small, {"optimizer.name=sgd"}).find("adamw, lion"), std::string::npos);
  EXPECT_NE(error_of(small, {"train.recompute=yes"}).find("true or false"), std::string::npos);
  EXPECT_NE(error_of(small, {"train.batch=4", "train.micro_batches=3"}).find("multiple"), std::string::npos);
  EXPECT_NE(error_of(small, {"model.heads=5"}).find("dim 32"), std::string::npos);
  EXPECT_NE(error_of(small, {"steps"}).find("section.key=value"), std::string::npos);
  EXPECT_NE(error_of("[train]\nsteps = 3\n").find("data.train"), std::string::npos);
  EXPECT_NE(error_of("steps = 3\n").find("outside a section"), std::string::npos);
  EXPECT_NE(error_of("[train]\nsteps = = 3\n").find("line 2"), std::string::npos);
}

TEST(Schedule, WarmsUpAndFallsToTheFinalRatio) {
  const ScheduleRecipe cosine{.shape = "cosine", .warmup = 4, .final_ratio = 0.1};
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 2.0, 0, 25), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 2.0, 3, 25), 2.0);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 2.0, 4, 25), 2.0);
  EXPECT_NEAR(learning_rate(cosine, 2.0, 14, 25), 2.0 * (0.1 + 0.9 * 0.5), 1e-12);  // half-way
  EXPECT_NEAR(learning_rate(cosine, 2.0, 24, 25), 0.2, 1e-12);
  const ScheduleRecipe linear{.shape = "linear", .warmup = 0, .final_ratio = 0};
  EXPECT_NEAR(learning_rate(linear, 1.0, 3, 11), 0.7, 1e-12);
  const ScheduleRecipe constant{.shape = "constant", .warmup = 2, .final_ratio = 0.1};
  EXPECT_DOUBLE_EQ(learning_rate(constant, 1.0, 900, 1000), 1.0);
}

TEST(Schedule, WeightDecayMayChangeAlongHalfACosine) {
  OptimizerRecipe o;
  EXPECT_DOUBLE_EQ(weight_decay(o, 7, 11), o.weight_decay);
  o.weight_decay = 0.04;
  o.final_weight_decay = 0.4;
  EXPECT_DOUBLE_EQ(weight_decay(o, 0, 11), 0.04);
  EXPECT_NEAR(weight_decay(o, 5, 11), 0.22, 1e-12);
  EXPECT_DOUBLE_EQ(weight_decay(o, 10, 11), 0.4);
}

}  // namespace
}  // namespace crate
