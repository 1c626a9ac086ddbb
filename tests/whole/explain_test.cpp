// crate explain, verify and generate --explain as a user runs them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/whole/process.h"

namespace crate::whole {
namespace {

using nlohmann::json;

class Explanations : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    home = std::make_unique<Folder>();
    const Outcome o = run_crate(tiny_training(home->at("model"), {"--set", "train.steps=30"}));
    ASSERT_EQ(o.code, 0) << o.err;
  }
  static void TearDownTestSuite() { home.reset(); }
  static std::string model() { return home->at("model"); }
  static inline std::unique_ptr<Folder> home;
};

TEST_F(Explanations, HoldUntilSomebodyChangesThem) {
  const std::string file = home->at("graph.json");
  const Outcome told =
      run_crate({"explain", model(), "--prompt", "ROMEO: what", "-o", file, "--check", "--checked", "4"});
  ASSERT_EQ(told.code, 0) << told.err;
  for (const char* word : {"it adds up", "blocks.1.atoms", "no error nodes", "correlation"})
    EXPECT_NE(told.out.find(word), std::string::npos) << word << " in " << told.out;
  EXPECT_EQ(run_crate({"verify", file, model()}).code, 0);
  EXPECT_EQ(run_crate({"verify", file, model(), "--threads", "1"}).code, 0);
  json document = json::parse(read_file(file));
  EXPECT_LT(document["metadata"]["crate"]["residual"].get<double>(), 1e-12);
  EXPECT_LT(document["metadata"]["crate"]["served"]["distance"].get<double>(), 1e-5);
  document["links"][0]["weight"] = document["links"][0]["weight"].get<double>() * 1.02 + 1e-3;
  write_file(file, document.dump());
  const Outcome changed = run_crate({"verify", file, model()});
  EXPECT_EQ(changed.code, 1);
  EXPECT_NE(changed.err.find("links[0].weight"), std::string::npos) << changed.err;
  write_file(file, std::string(1 << 16, '['));
  EXPECT_EQ(run_crate({"verify", file, model()}).code, 1);
}

TEST_F(Explanations, OfAnotherModelAreRefused) {
  const std::string file = home->at("other.json"), other = home->at("other");
  ASSERT_EQ(run_crate({"explain", model(), "--prompt", "a", "-o", file, "--device", "ref"}).code, 0);
  EXPECT_EQ(run_crate({"verify", file, model()}).code, 0);
  EXPECT_LT(json::parse(read_file(file))["metadata"]["crate"]["off"].get<double>(), 1e-13);
  ASSERT_EQ(run_crate(tiny_training(other, {"--set", "train.steps=2"})).code, 0);
  const Outcome o = run_crate({"verify", file, other});
  EXPECT_EQ(o.code, 1);
  EXPECT_NE(o.err.find("another model"), std::string::npos) << o.err;
}

TEST_F(Explanations, TargetsAreTokensOrUnits) {
  const auto target = [](const std::vector<std::string>& more) {
    std::vector<std::string> args = {"explain", model(), "--prompt", "To be", "--json"};
    args.insert(args.end(), more.begin(), more.end());
    const Outcome o = run_crate(args);
    EXPECT_EQ(o.code, 0) << o.err;
    return json::parse(o.out)["metadata"]["crate"]["target"];
  };
  EXPECT_EQ(target({"--target", "x"})["score"], 'x');
  EXPECT_EQ(target({"--target", "#120", "--contrast", "y"})["contrast"], 'y');
  EXPECT_EQ(target({"--target", "blocks.0.ista.code:2:5"})["unit"], "blocks.0.ista.code:2:5");
  const Outcome two = run_crate({"explain", model(), "--prompt", "To be", "--target", "xy"});
  EXPECT_EQ(two.code, 1);
  EXPECT_NE(two.err.find("one token"), std::string::npos) << two.err;
}

TEST_F(Explanations, OfChangedModelsAddUpToWhatTheChangedModelSays) {
  const std::string file = home->at("changed.json");
  const std::vector<std::string> changes = {"--ablate", "blocks.1.ista.code:0-40", "--set",
                                            "blocks.0.ista.code:7@2=1.5"};
  std::vector<std::string> args = {"explain", model(), "--prompt", "ROMEO: what", "-o", file};
  args.insert(args.end(), changes.begin(), changes.end());
  const Outcome told = run_crate(args);
  ASSERT_EQ(told.code, 0) << told.err;
  EXPECT_NE(told.out.find("changed: set blocks.0.ista.code:7@2=1.5"), std::string::npos) << told.out;
  const json ours = json::parse(read_file(file))["metadata"]["crate"];
  EXPECT_LT(ours["residual"].get<double>(), 1e-12);
  EXPECT_EQ(ours["changes"].size(), 2U);
  EXPECT_EQ(run_crate({"verify", file, model()}).code, 0);
  // The next token that the changed model generates is the one explained.
  args = {"generate", model(), "--prompt", "ROMEO: what", "-n", "1", "--greedy", "--json"};
  args.insert(args.end(), changes.begin(), changes.end());
  EXPECT_EQ(json::parse(run_crate(args).out)["tokens"][0], ours["target"]["score"]);
  json document = json::parse(read_file(file));
  document["metadata"]["crate"]["changes"].erase(1);
  write_file(file, document.dump());
  EXPECT_EQ(run_crate({"verify", file, model()}).code, 1);
  const Outcome stream = run_crate({"explain", model(), "--prompt", "a", "--ablate", "blocks.0.z_mid:1"});
  EXPECT_EQ(stream.code, 1);
  EXPECT_NE(stream.err.find("change atoms"), std::string::npos) << stream.err;
}

TEST_F(Explanations, OfGeneratedTokensDoNotDependOnTheCache) {
  const auto told = [](const std::vector<std::string>& more) {
    std::vector<std::string> args = {"generate", model(),    "--prompt",  "Now",   "-n",
                                     "5",        "--greedy", "--explain", "--json"};
    args.insert(args.end(), more.begin(), more.end());
    const Outcome o = run_crate(args);
    EXPECT_EQ(o.code, 0) << o.err;
    return json::parse(o.out)["explanations"];
  };
  const json cached = told({});
  ASSERT_EQ(cached.size(), 5U);
  EXPECT_EQ(cached, told({"--no-cache"}));
  const json changed = told({"--scale", "blocks.0.ista.code:0-63=0.5"});
  EXPECT_EQ(changed, told({"--scale", "blocks.0.ista.code:0-63=0.5", "--no-cache"}));
  EXPECT_NE(cached, changed);
  for (const json& e : changed) EXPECT_LT(e["residual"].get<double>(), 1e-12);
  EXPECT_EQ(cached[0]["tokens"].size(), 3U);
}

std::vector<std::string> tiny_image_training(const std::string& out, const std::vector<std::string>& more) {
  std::vector<std::string> args = {"train", "recipes/scenes.toml", "--out", out};
  for (const char* setting :
       {"model.dim=16", "model.layers=2", "train.steps=4", "train.batch=4", "train.measure_every=0",
        "train.eval_every=0", "data.train=synthetic:40", "data.val=synthetic:8"})
    args.insert(args.end(), {"--set", setting});
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

/// Explains, as JSON and as a page, sees that the parts add up and that the file holds; the document.
json expect_it_holds(const std::string& folder, const std::vector<std::string>& what) {
  const std::string file = folder + "/why.json", page = folder + "/why.html";
  std::vector<std::string> args = {"explain", folder, "-o", file, "-o", page};
  args.insert(args.end(), what.begin(), what.end());
  const Outcome told = run_crate(args);
  EXPECT_EQ(told.code, 0) << folder << ": " << told.err;
  json document = json::parse(read_file(file));
  const json& ours = document["metadata"]["crate"];
  EXPECT_LT(ours["residual"].get<double>(), 1e-12) << folder;
  EXPECT_LT(ours["edge_residual"].get<double>(), 1e-11) << folder;
  EXPECT_NE(read_file(page).find(ours["target"]["unit"].get<std::string>()), std::string::npos) << folder;
  const Outcome verified = run_crate({"verify", file, folder});
  EXPECT_EQ(verified.code, 0) << folder << ": " << verified.err;
  return document;
}

/// The atom of a graph that is most active.
std::string largest_atom(const json& document) {
  double largest = 0;
  std::string name;
  for (const json& node : document["nodes"]) {
    const double value = node["activation"].get<double>();
    if ((node["feature_type"] != "atom" && node["feature_type"] != "neuron") || value <= largest) continue;
    largest = value;
    name = node["crate"]["unit"];
  }
  return name;
}

TEST_F(Explanations, OfTrainedModelsOfEveryFamilyAddUp) {
  for (const std::string family : {"crate-gpt", "gpt2", "gpt-relu", "crate", "crate-alpha", "vit"}) {
    const bool reads_images = family == "crate" || family == "crate-alpha" || family == "vit";
    const std::string folder = home->at(family);
    const std::vector<std::string> more = {"--set", "model.family=" + family, "--set", "train.steps=4"};
    const Outcome trained = run_crate(reads_images ? tiny_image_training(folder, more) : tiny_training(folder, more));
    ASSERT_EQ(trained.code, 0) << family << ": " << trained.err;
    std::vector<std::string> what = reads_images ? std::vector<std::string>{"--image", "data/scene.png"}
                                                 : std::vector<std::string>{"--prompt", "ROMEO: w"};
    const json whole = expect_it_holds(folder, what);
    EXPECT_GE(whole["metadata"]["crate"]["cuts"].size(), 6U) << family;
    what.insert(what.end(), {"--target", largest_atom(whole)});
    const json of_atom = expect_it_holds(folder, what);
    EXPECT_GT(of_atom["metadata"]["crate"]["target"]["value"].get<double>(), 0) << family;
  }
}

TEST_F(Explanations, OfAutoEncodersSayWhatMadeAnAtomActive) {
  for (const std::string family : {"crate-mae", "vit-mae"}) {
    const std::string folder = home->at(family), layer = family == "crate-mae" ? "ista.code" : "mlp.hidden";
    const Outcome trained =
        run_crate(tiny_image_training(folder, {"--set", "model.family=" + family, "--set", "model.image.classes=0",
                                               "--set", "model.image.positions=sincos"}));
    ASSERT_EQ(trained.code, 0) << family << ": " << trained.err;
    const Outcome classes = run_crate({"explain", folder, "--image", "data/scene.png", "--target", "ring"});
    EXPECT_EQ(classes.code, 1);
    EXPECT_NE(classes.err.find("blocks.L." + layer + ":PATCH:ATOM"), std::string::npos) << classes.err;
    double value = 0;
    for (int atom = 0; atom < 16 && value <= 0; ++atom) {
      const std::string target = "blocks.1." + layer + ":5:" + std::to_string(atom);
      const json ours = expect_it_holds(folder, {"--image", "data/scene.png", "--target", target})["metadata"]["crate"];
      value = ours["target"]["value"].get<double>();
      EXPECT_EQ(ours["cuts"].size(), 5U) << family;  // embed, both of block 0, both of block 1
    }
    EXPECT_GT(value, 0) << family;
  }
}

TEST_F(Explanations, SayWhyAClassAndHoldWhenAtomsAreChanged) {
  const std::string images = home->at("images"), file = home->at("class.json"), scene = "data/scene.png";
  const Outcome trained = run_crate(tiny_image_training(images, {}));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Outcome told = run_crate({"explain", images, "--image", scene, "--target", "ring", "--contrast", "star",
                                  "--ablate", "blocks.0.ista.code:1-3", "-o", file});
  ASSERT_EQ(told.code, 0) << told.err;
  EXPECT_NE(told.out.find("patch "), std::string::npos) << told.out;
  EXPECT_LT(json::parse(read_file(file))["metadata"]["crate"]["residual"].get<double>(), 1e-12);
  EXPECT_EQ(run_crate({"verify", file, images}).code, 0);
  const Outcome text = run_crate({"explain", images, "--prompt", "a ring"});
  EXPECT_EQ(text.code, 1);
  EXPECT_NE(text.err.find("--image"), std::string::npos) << text.err;
}

}  // namespace
}  // namespace crate::whole
