#include "work/compare/compare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
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
  EXPECT_GT(json["arms"][0]["runs"][0]["bits_per_byte"], 0);
  EXPECT_EQ(c.unit(), "token");
  EXPECT_NE(read_text_file(folder.at("out/curves.svg")).find("<polyline"), std::string::npos);
}

TEST_F(Comparing, ATryOfFullLengthIsTheFirstSeedsRun) {
  int runs = 0;
  CompareOptions o = options();
  o.step = [&](const CompareProgress&, const StepReport& r) { runs += r.step == r.steps ? 1 : 0; };
  const std::string file = experiment("none", "lr = [1e-3, 1e-2]");
  const Comparison c = compare(load_experiment(file, {"compare.lr_steps=0", "compare.seeds=[3, 4]"}), o);
  EXPECT_EQ(runs, 6);  // two arms of two tries and one more seed
  for (const ArmResult& arm : c.arms) {
    EXPECT_EQ(arm.runs[0].seed, 3u);
    EXPECT_EQ(arm.runs[0].loss, std::min(arm.tries[0].loss, arm.tries[1].loss));
    EXPECT_EQ(arm.runs[0].curve.size(), 3u);
  }
  EXPECT_THROW(load_experiment(file, {"compare.lr_steps=half"}), Error);
  EXPECT_THROW(load_experiment(file, {"compare.rates=[1]"}), Error);
}

TEST_F(Comparing, ContinuesWhereItStopped) {
  const Experiment e = load_experiment(experiment("none"));
  const Comparison whole = compare(e, options());
  CompareOptions again = options();
  again.out = folder.at("again");
  std::atomic<bool> stop = false;
  again.stop = &stop;
  int64_t steps = 0;
  again.step = [&](const CompareProgress&, const StepReport&) { stop = ++steps == 3; };
  EXPECT_TRUE(compare(e, again).stopped);
  EXPECT_FALSE(std::filesystem::exists(folder.at("again/results.json")));
  again.stop = nullptr;
  const Comparison rest = compare(e, again);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(rest.arms[i].loss().mean, whole.arms[i].loss().mean);
    EXPECT_EQ(rest.arms[i].runs[1].curve, whole.arms[i].runs[1].curve);
  }
  // What is done is read, not done again.
  again.step = [](const CompareProgress& p, const StepReport&) { FAIL() << p.run << " was trained again"; };
  std::vector<double> shares;
  again.started = [&](const CompareProgress& p) { shares.push_back(p.done); };
  EXPECT_EQ(compare(e, again).arms[1].loss().mean, whole.arms[1].loss().mean);
  ASSERT_EQ(shares.size(), 4u);
  EXPECT_EQ(shares.front(), 0);
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()) && shares.back() < 1);
}

TEST_F(Comparing, SeedsAndControlsMayBeAdded) {
  const std::string path = experiment("none");
  const Comparison first = compare(load_experiment(path), options());
  const std::string more =
      folder.with("e.toml",
                  "[compare]\nrecipe = \"base.toml\"\nreference = \"twin\"\nseeds = [1, 2, 5]\n"
                  "controls = [\"untrained\", \"rotated\"]\n[arm.twin]\n[arm.white]\nmodel.family = \"crate-lm\"\n");
  const Comparison all = compare(load_experiment(more), options());
  for (std::size_t i = 0; i < 2; ++i) {
    const ArmResult& arm = all.arms[i];
    ASSERT_EQ(arm.runs.size(), 3u);
    EXPECT_EQ(arm.runs[0].loss, first.arms[i].runs[0].loss);
    ASSERT_EQ(arm.controls.size(), 2u);
    EXPECT_EQ(arm.controls[0].control, Control::untrained);
    for (const ControlResult& control : arm.controls) {
      ASSERT_EQ(control.runs.size(), 3u);
      for (std::size_t k = 0; k < 3; ++k) EXPECT_GT(control.runs[k].loss, arm.runs[k].loss) << name_of(control.control);
    }
    EXPECT_NEAR(arm.controls[0].runs[0].loss, std::log(257.0), 0.1);  // knows nothing yet
    EXPECT_LT(arm.controls[1].runs[0].loss,
              arm.controls[0].runs[0].loss);  // the table of tokens is still the trained one
    EXPECT_FALSE(std::filesystem::exists(folder.at("out/" + arm.name + "/rotated-1")));
  }
  const auto json = nlohmann::json::parse(read_text_file(folder.at("out/results.json")));
  EXPECT_EQ(json["arms"][0]["controls"]["rotated"].size(), 3u);
}

TEST_F(Comparing, ARunThatDivergesIsAResult) {
  const Comparison c =
      compare(load_experiment(experiment("none", "lr = [1e-2, 1e30]\nlr_steps = 6"), {"optimizer.clip=0"}), options());
  for (const ArmResult& arm : c.arms) {
    EXPECT_TRUE(std::isinf(arm.tries[1].loss));
    EXPECT_EQ(arm.recipe.optimizer.lr, 1e-2);
  }
  const Experiment wild = load_experiment(experiment("none"), {"optimizer.clip=0", "optimizer.lr=1e30"});
  CompareOptions there = options();
  there.out = folder.at("wild");
  const Comparison w = compare(wild, there);
  EXPECT_EQ(w.arms[0].diverged(), 2);
  EXPECT_NE(verdict(w, w.arms[1]).find("no verdict"), std::string::npos);
  EXPECT_TRUE(nlohmann::json::parse(to_json(w))["arms"][0]["runs"][0]["loss"].is_null());
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

Comparison with_losses(Match match, std::vector<double> white, std::vector<double> twin) {
  Comparison c{"twin", match, false, {}};
  for (const auto& [name, losses] : {std::pair{"twin", twin}, std::pair{"white", white}}) {
    ArmResult arm;
    arm.name = name;
    arm.budget = {1e6, 6e6};
    for (const double loss : losses) arm.runs.push_back({.loss = loss, .seconds = 10, .curve = {{100, loss}}});
    c.arms.push_back(arm);
  }
  return c;
}

TEST(Verdict, SaysNoMoreThanTheNumbers) {
  const auto with = [](std::vector<double> white, std::vector<double> twin) {
    const Comparison c = with_losses(Match::none, std::move(white), std::move(twin));
    return verdict(c, c.arms[1]);
  };
  EXPECT_NE(with({1.1, 1.2, 1.3}, {1.0, 1.1, 1.2}).find("white is worse than twin by 0.1000"), std::string::npos);
  EXPECT_NE(with({0.9, 1.0, 1.1}, {1.0, 1.1, 1.2}).find("white is better than twin"), std::string::npos);
  EXPECT_NE(with({0.9, 1.2}, {1.0, 1.1}).find("cannot be told apart"), std::string::npos);
  EXPECT_NE(with({0.9}, {1.0}).find("nothing follows"), std::string::npos);
  EXPECT_NE(with({0.9, INFINITY}, {1.0, 1.1}).find("no verdict, 1 of 2 runs of white"), std::string::npos);
  EXPECT_NE(with({0.9, 1.0}, {INFINITY, INFINITY}).find("runs of twin"), std::string::npos);
}

TEST(Verdict, NamesBudgetsThatDoNotMeet) {
  for (const Match match : {Match::none, Match::parameters, Match::flops, Match::both, Match::time}) {
    Comparison c = with_losses(match, {0.9, 1.0, 1.1}, {1.0, 1.1, 1.2});
    EXPECT_EQ(verdict(c, c.arms[1]).find("with"), std::string::npos);
    c.arms[1].budget = {1.5e6, 9.6e6};
    for (RunResult& r : c.arms[1].runs) r.seconds = 12;
    const std::string said = verdict(c, c.arms[1]);
    const auto says = [&](const char* words) { return said.find(words) != std::string::npos; };
    EXPECT_EQ(says("1.50x its parameters"), match != Match::flops && match != Match::time) << said;
    EXPECT_EQ(says("1.60x its FLOPs"), match != Match::parameters && match != Match::time) << said;
    EXPECT_EQ(says("1.20x its training time"), match == Match::time) << said;
  }
}

TEST(Verdict, NotesWhatTheTableCannotShow) {
  Comparison c = with_losses(Match::none, {1, 2}, {1, 2});
  ASSERT_EQ(notes(c).size(), 1u);
  EXPECT_NE(notes(c)[0].find("no learning rates were searched"), std::string::npos);
  for (ArmResult& arm : c.arms) arm.tries = {{1e-3, 2}, {2e-3, 1}, {4e-3, 2}};
  c.arms[0].recipe.optimizer.lr = 2e-3;
  c.arms[1].recipe.optimizer.lr = 4e-3;
  ASSERT_EQ(notes(c).size(), 1u);
  EXPECT_NE(notes(c)[0].find("white did best at 0.004"), std::string::npos) << notes(c)[0];
  c.arms.push_back(c.arms[0]);
  EXPECT_NE(notes(c).back().find("here are 2"), std::string::npos);
}

TEST(Curves, AreMeansOverTheSeedsThatGotThere) {
  Comparison c = with_losses(Match::none, {1, 3}, {2, 2});
  c.arms[1].runs[0].curve.emplace_back(200, 0.5);  // the other seed stopped earlier
  EXPECT_NE(curves_svg(c).find("<polyline"), std::string::npos);
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
  const std::string head = "[compare]\nrecipe = \"base.toml\"\nreference = \"a\"\n";
  EXPECT_NE(error_of(head + "[arm.a]\n[arm.\"../b\"]\n").find("'../b'"), std::string::npos);
  EXPECT_NE(error_of(head + arms + "[arms.c]\n").find("'arms'"), std::string::npos);
  EXPECT_NE(error_of(head + "seeds = [1, 1]\n" + arms).find("twice"), std::string::npos);
  EXPECT_NE(error_of(head + "lr = [0.0]\n" + arms).find("> 0"), std::string::npos);
  EXPECT_NE(error_of(head + "controls = [\"random\"]\n" + arms).find("'random'"), std::string::npos);
  for (const char* key :
       {"data.train = \"x\"", "train.steps = 3", "train.seed = 2", "model.context = 8", "schedule.warmup = 1"})
    EXPECT_NE(error_of(head + "[arm.a]\n" + key + "\n[arm.b]\n").find("all arms share"), std::string::npos) << key;
}

}  // namespace
}  // namespace crate
