// The commands about atoms, as a user runs them: index, show, export; steer, ablate, edit and its way back.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/whole/process.h"

namespace crate::whole {
namespace {

using nlohmann::json;

json run_json(std::vector<std::string> args) {
  args.emplace_back("--json");
  const Outcome o = run_crate(args);
  EXPECT_EQ(o.code, 0) << o.err;
  return json::parse(o.out, nullptr, false);
}

class AtomCommands : public testing::Test {
 protected:
  void SetUp() override {
    const Outcome o = run_crate(tiny_training(model, {"--set", "train.steps=8"}));
    ASSERT_EQ(o.code, 0) << o.err;
  }
  Folder folder;
  std::string model = folder.at("model"), index = folder.at("atoms.sqlite");
};

TEST_F(AtomCommands, IndexShowAndExport) {
  const std::vector<std::string> build = {"atoms",        model,   "--data",      "data/tinyshakespeare.txt",
                                          "--max-tokens", "20000", "--inventory", "none",
                                          "-o",           index};
  const json made = run_json(build);
  EXPECT_EQ(made["tokens"], 20000);
  EXPECT_GT(made["atoms"].get<int>(), 0);
  EXPECT_LT(made["tokens_per_second_in_all"].get<double>(), made["tokens_per_second"].get<double>());
  EXPECT_GT(made["tokens_per_second_of_eval"].get<double>(), 0);
  EXPECT_EQ(run_crate(build).code, 1);  // nothing is overwritten unasked
  const Outcome shown = run_crate({"atoms", "show", index, "blocks.0.ista.code:3-4"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("blocks.0.ista.code:4"), std::string::npos);
  EXPECT_NE(shown.out.find("raises"), std::string::npos);
  EXPECT_EQ(run_crate({"atoms", "show", index, "blocks.9.ista.code:3"}).code, 1);
  EXPECT_EQ(run_json({"atoms", "export", index, "--site", "blocks.0.ista.code", "--count", "8", "-o",
                      folder.at("d")})["files"],
            1);
  EXPECT_TRUE(json::parse(read_file(folder.at("d/blocks.0.ista.code/batch-0.json"))).contains("features"));
  EXPECT_EQ(run_crate({"atoms", model}).code, 2);
}

TEST_F(AtomCommands, ChangesReachGenerationAndEvaluation) {
  write_file(folder.at("text.txt"), std::string(300, 'a') + " and some more text to read");
  const std::vector<std::string> eval = {"eval", model, "--data", folder.at("text.txt")},
                                 generate = {"generate", model, "--prompt", "First", "-n", "60", "--greedy"};
  const std::vector<std::string> change = {"--add", "blocks.0.ista.code:3=20", "--ablate",
                                           "blocks.1.ista.code:0-9@0-4"};
  const auto with = [&](std::vector<std::string> args, const std::vector<std::string>& more) {
    args.insert(args.end(), more.begin(), more.end());
    return args;
  };
  EXPECT_NE(run_json(eval)["loss"], run_json(with(eval, change))["loss"]);
  const json changed = run_json(with(generate, change));
  EXPECT_NE(run_json(generate)["tokens"], changed["tokens"]);
  EXPECT_EQ(run_json(with(with(generate, change), {"--no-cache"}))["tokens"], changed["tokens"]);
  const Outcome bad = run_crate(with(eval, {"--set", "blocks.0.ista.code:3"}));
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("VALUE"), std::string::npos);
  const json steered = run_json({"steer", model, "--add", "blocks.0.ista.code:3=1", "--kl", "0.004", "--prompt", "a",
                                 "-n", "20", "--neutral-tokens", "60"});
  EXPECT_NEAR(steered["kl"].get<double>(), 0.004, 2e-4);
  EXPECT_TRUE(steered["base"].contains("text") && steered["steered"].contains("text"));
}

TEST_F(AtomCommands, EditsAreUndone) {
  const std::string edited = folder.at("edited"), back = folder.at("back");
  const json made = run_json({"edit", model, "--remove-atom", "blocks.0.ista.code:1,5-6", "--set-row",
                              "blocks.1.ista.code:2=token:e", "-o", edited});
  EXPECT_EQ(made["touched"].size(), 4u);
  EXPECT_FALSE(read_file(edited + "/model.safetensors") == read_file(model + "/model.safetensors"));
  EXPECT_EQ(run_crate({"edit", edited, "--undo", "-o", back}).code, 0);
  EXPECT_TRUE(read_file(back + "/model.safetensors") == read_file(model + "/model.safetensors"));
  EXPECT_EQ(run_crate({"edit", model, "--undo", "-o", folder.at("none")}).code, 1);
  EXPECT_EQ(run_crate({"edit", model, "--remove-atom", "blocks.0.ista.code:1", "-o", edited}).code, 1);
}

}  // namespace
}  // namespace crate::whole
