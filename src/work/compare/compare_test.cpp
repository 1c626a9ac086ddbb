#include "work/compare/compare.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "testing/folder.h"

namespace crate {
namespace {

class Comparing : public testing::Test {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 300; ++i) text += "to be or not to be, that is question " + std::to_string(i * i) + "\n";
    folder.with("text.txt", text);
    folder.with("base.toml",
                "[model]\nfamily = \"gpt2\"\ndim = 16\nheads = 2\nlayers = 2\ncontext = 16\nrotary = true\n"
                "learned_positions = false\n[data]\ntrain = \"text.txt\"\n[train]\nsteps = 12\nbatch = 4\n"
                "eval_every = 4\neval_tokens = 256\n[optimizer]\nlr = 1e-2\n[schedule]\nwarmup = 2\n");
  }
  std::string experiment(const std::string& match, const std::string& more = "") const {
    return folder.with("e.toml", "[compare]\nrecipe = \"base.toml\"\nreference = \"twin\"\nmatch = \"" + match +
                                     "\"\nseeds = [1, 2]\n" + more +
                                     "\n[arm.twin]\n[arm.white]\nmodel.family = \"crate-lm\"\n");
  }
  CompareOptions options() const {
    CompareOptions o;
    o.out = folder.at("out");
    return o;
  }
  Folder folder;
};

TEST_F(Comparing, TrainsEveryArmWithEverySeedAtOneBudget) {
  const Comparison c = compare(load_experiment(experiment("parameters", "lr = [1e-3, 1e-2]\nlr_steps = 6")), options());
  ASSERT_EQ(c.arms.size(), 2u);
  for (const ArmResult& arm : c.arms) {
    EXPECT_LT(arm.mismatch, 0.03);
    EXPECT_EQ(arm.tries.size(), 2u);
    ASSERT_EQ(arm.runs.size(), 2u);
    EXPECT_EQ(arm.runs[0].curve.size(), 3u);  // after 4, 8 and 12 steps
    EXPECT_EQ(arm.runs[0].curve.back().second, arm.runs[0].loss);
    const bool first = arm.tries[0].loss < arm.tries[1].loss;
    EXPECT_EQ(arm.recipe.optimizer.lr, first ? 1e-3 : 1e-2);
  }
  EXPECT_EQ(c.difference(c.reference_arm()).mean, 0);
  const auto json = nlohmann::json::parse(read_text_file(folder.at("out/results.json")));
  EXPECT_EQ(json["arms"].size(), 2u);
  EXPECT_NE(read_text_file(folder.at("out/curves.svg")).find("<polyline"), std::string::npos);
}

TEST_F(Comparing, ContinuesWhereItStopped) {
  const Experiment e = load_experiment(experiment("none"));
  const Comparison whole = compare(e, options());
  CompareOptions again = options();
  again.out = folder.at("again");
  std::atomic<bool> stop = false;
  again.stop = &stop;
  int64_t steps = 0;
  again.step = [&](const StepReport&) { stop = ++steps == 3; };
  EXPECT_TRUE(compare(e, again).stopped);
  EXPECT_FALSE(std::filesystem::exists(folder.at("again/results.json")));
  again.stop = nullptr;
  const Comparison rest = compare(e, again);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(rest.arms[i].loss().mean, whole.arms[i].loss().mean);
    EXPECT_EQ(rest.arms[i].runs[1].curve, whole.arms[i].runs[1].curve);
  }
}

TEST_F(Comparing, EqualTimeGivesTheFasterArmMoreSteps) {
  const Comparison c = compare(load_experiment(experiment("time")), options());
  EXPECT_EQ(c.reference_arm().recipe.train.steps, 12);
  for (const ArmResult& arm : c.arms) EXPECT_GE(arm.recipe.train.steps, 1);
}

TEST_F(Comparing, AnotherExperimentIsNotOverwritten) {
  compare(load_experiment(experiment("none")), options());
  const Experiment other = load_experiment(experiment("none"), {"train.steps=5"});
  EXPECT_NE(message_of([&] { compare(other, options()); }).find("--force"), std::string::npos);
  CompareOptions force = options();
  force.force = true;
  EXPECT_EQ(compare(other, force).arms[0].recipe.train.steps, 5);
}

TEST_F(Comparing, TheVerdictSaysNoMoreThanTheNumbers) {
  const auto with = [](std::vector<double> white, std::vector<double> twin) {
    Comparison c{"twin", Match::none, false, {}};
    for (const auto& [name, losses] : {std::pair{"twin", twin}, std::pair{"white", white}}) {
      ArmResult arm{name, {}, {}, 0, {}, {}};
      for (const double loss : losses) arm.runs.push_back({0, loss, 0, 0, 0, {}});
      c.arms.push_back(arm);
    }
    return verdict(c, c.arms[1]);
  };
  EXPECT_NE(with({1.1, 1.2, 1.3}, {1.0, 1.1, 1.2}).find("white is worse than twin by 0.1000"), std::string::npos);
  EXPECT_NE(with({0.9, 1.0, 1.1}, {1.0, 1.1, 1.2}).find("white is better than twin"), std::string::npos);
  EXPECT_NE(with({0.9, 1.2}, {1.0, 1.1}).find("cannot be told apart"), std::string::npos);
  EXPECT_NE(with({0.9}, {1.0}).find("nothing follows"), std::string::npos);
}

TEST_F(Comparing, RefusesWhatItCannotRead) {
  const auto error_of = [&](const std::string& text) {
    const std::string path = folder.with("bad.toml", text);
    return message_of([&] { load_experiment(path); });
  };
  EXPECT_NE(error_of("[compare]\n").find("two [arm.NAME]"), std::string::npos);
  const std::string arms = "[arm.a]\n[arm.b]\n";
  EXPECT_NE(error_of("[compare]\nrecipe = \"base.toml\"\nreference = \"c\"\n" + arms).find("'c'"), std::string::npos);
  EXPECT_NE(error_of("[compare]\nrecipes = \"x\"\n" + arms).find("compare.recipe"), std::string::npos);
  EXPECT_NE(error_of("[compare]\nrecipe = \"base.toml\"\nmatch = \"size\"\n" + arms).find("'size'"), std::string::npos);
  EXPECT_NE(error_of("[compare]\nrecipe = \"base.toml\"\nseeds = 3\n" + arms).find("compare.seeds"), std::string::npos);
  EXPECT_NE(error_of("[compare]\nrecipe = \"base.toml\"\nreference = \"a\"\n[arm.a]\nmodel.width = 3\n[arm.b]\n")
                .find("model.width"),
            std::string::npos);
}

}  // namespace
}  // namespace crate
