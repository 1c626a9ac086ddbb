// What goes wrong is told in one line that names the file and the remedy; nothing is overwritten.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "tests/whole/process.h"

namespace crate::whole {
namespace {

void expect_error(const Outcome& o, const std::vector<std::string>& words) {
  EXPECT_EQ(o.code, 1) << o.out << o.err;
  EXPECT_TRUE(o.err.starts_with("crate: error: ")) << o.err;
  EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
  for (const std::string& word : words)
    EXPECT_NE(o.err.find(word), std::string::npos) << "no '" << word << "' in: " << o.err;
}

class Errors : public testing::Test {
 protected:
  std::vector<std::string> training(std::vector<std::string> more = {}) {
    return tiny_training(model, std::move(more));
  }
  void train_a_little() {
    const Outcome o = run_crate(training({"--set", "train.steps=5"}));
    ASSERT_EQ(o.code, 0) << o.err;
  }
  Folder folder;
  std::string model = folder.at("model");
};

TEST_F(Errors, OfUsageExitWithTwo) {
  EXPECT_EQ(run_crate({}).code, 2);
  EXPECT_EQ(run_crate({"fly"}).code, 2);
  EXPECT_EQ(run_crate({"train"}).code, 2);
  EXPECT_EQ(run_crate({"train", "recipes/demo.toml", "--nonsense"}).code, 2);
  const std::string help = run_crate({"--help"}).out;
  std::istringstream lines(help.substr(help.find("Subcommands:")));
  std::string line, command;
  int commands = 0;
  for (std::getline(lines, line); std::getline(lines, line) && line.starts_with("  "); ++commands) {
    std::istringstream(line) >> command;
    EXPECT_EQ(run_crate({command, "--help"}).code, 0) << command;
  }
  EXPECT_GT(commands, 10) << help;
}

TEST_F(Errors, OfRecipesNameTheKey) {
  expect_error(run_crate(training({"--set", "train.stepz=3"})), {"recipes/demo.toml", "train.stepz"});
  expect_error(run_crate(training({"--set", "train.steps=many"})), {"train.steps", "many"});
  expect_error(run_crate(training({"--set", "model.heads=7"})), {"dim 32", "heads 7"});
  expect_error(run_crate({"train", folder.at("absent.toml")}), {"absent.toml"});
}

TEST_F(Errors, OfCorporaNameTheFile) {
  expect_error(run_crate(training({"--set", "data.train=" + folder.at("absent.txt")})), {"absent.txt"});
  write_file(folder.at("empty.txt"), "");
  expect_error(run_crate(training({"--set", "data.train=" + folder.at("empty.txt")})), {"empty.txt", "empty"});
  write_file(folder.at("short.txt"), "too short");
  expect_error(run_crate(training({"--set", "data.train=" + folder.at("short.txt")})), {"short.txt", "context"});
  write_file(folder.at("cut.txt.xz"), std::string("\xfd"
                                                  "7zXZ\0\0\x04",
                                                  8));
  expect_error(run_crate({"data", folder.at("cut.txt.xz"), "-o", folder.at("data")}), {"cut.txt.xz", "cut short"});
  EXPECT_FALSE(std::filesystem::exists(model + "/complete.json"));
}

TEST_F(Errors, OfAnotherTokenizer) {
  train_a_little();
  write_file(folder.at("text.txt"), "some text to make a vocabulary of, some text to make a vocabulary of");
  const Outcome made = run_crate(
      {"data", folder.at("text.txt"), "--val", folder.at("text.txt"), "--train-vocab", "260", "-o", folder.at("data")});
  ASSERT_EQ(made.code, 0) << made.err;
  expect_error(run_crate({"eval", model, "--data", folder.at("data")}), {folder.at("data"), "tokenizer"});
  expect_error(run_crate(training({"--force", "--set", "data.tokenizer=" + folder.at("data")})),
               {"tokenizer", "model.vocab"});
}

TEST_F(Errors, OfSequencesLongerThanTheContext) {
  const Outcome made = run_crate(training({"--set", "train.steps=5", "--set", "model.context=8"}));
  ASSERT_EQ(made.code, 0) << made.err;
  expect_error(
      run_crate({"forward", model, "--in", "fixtures/batch.safetensors", "--out", folder.at("out.safetensors")}),
      {"16", "context of 8"});
  EXPECT_FALSE(std::filesystem::exists(folder.at("out.safetensors")));
}

TEST_F(Errors, OfDamagedFiles) {
  train_a_little();
  const std::string weights = model + "/model.safetensors", good = read_file(weights);
  std::string flipped = good;
  flipped[good.size() - 100] = static_cast<char>(flipped[good.size() - 100] ^ 4);
  for (const std::string& bad : {flipped, good.substr(0, good.size() / 2), std::string()}) {
    write_file(weights, bad);
    expect_error(run_crate({"info", model}), {weights, "restore"});
    expect_error(run_crate({"eval", model, "--data", "data/tinyshakespeare.txt"}), {weights});
    expect_error(run_crate(training({"--resume"})), {weights});
  }
  write_file(weights, good);
  EXPECT_EQ(run_crate({"info", model}).code, 0);
  std::filesystem::remove(model + "/complete.json");
  expect_error(run_crate({"info", model}), {model, "complete"});
  expect_error(run_crate({"info", folder.at("absent")}), {"absent"});
}

TEST_F(Errors, NothingIsOverwrittenUnasked) {
  train_a_little();
  const std::string before = read_file(model + "/model.safetensors");
  expect_error(run_crate(training()), {model, "--resume", "--force"});
  EXPECT_TRUE(read_file(model + "/model.safetensors") == before);
}

TEST_F(Errors, OfABytesPrice) {
  write_file(folder.at("empty"), "");
  const std::string models = CRATE_SOURCE_DIR "/models/";
  expect_error(run_crate({"explain", models + "wiki-bytes", "--bits-of", folder.at("empty")}), {"is empty"});
  expect_error(run_crate({"explain", models + "wiki-crate-lm", "--bits-of", models + "wiki-crate-lm/README.md"}),
               {"reads bytes", "4096 tokens"});
}

TEST_F(Errors, ALossThatIsNoNumberKeepsTheCheckpoint) {
  train_a_little();
  const std::string before = read_file(model + "/model.safetensors");
  expect_error(run_crate(training({"--resume", "--set", "train.steps=40", "--set", "optimizer.lr=1e30", "--set",
                                   "optimizer.clip=0", "--set", "train.checkpoint_every=0"})),
               {model, "optimizer.lr"});
  EXPECT_TRUE(read_file(model + "/model.safetensors") == before);
  EXPECT_EQ(run_crate({"info", model}).code, 0);
}

TEST_F(Errors, WeightsThatBlewUpAreNotSaved) {
  train_a_little();
  const std::string before = read_file(model + "/model.safetensors");
  expect_error(run_crate(training({"--resume", "--set", "train.steps=40", "--set", "optimizer.lr=1e39", "--set",
                                   "train.eval_every=0", "--set", "train.checkpoint_every=1"})),
               {model, "after step 6", "optimizer.lr"});
  EXPECT_TRUE(read_file(model + "/model.safetensors") == before);
}

TEST_F(Errors, AFullDiskKeepsTheCheckpoint) {
  train_a_little();
  const std::string before = read_file(model + "/model.safetensors");
  std::string line = "trap '' XFSZ; ulimit -f 16; crate";
  for (const std::string& word : training({"--resume", "--set", "train.steps=10"})) line += " '" + word + "'";
  expect_error(run_shell(line), {model, "free some space"});
  EXPECT_TRUE(read_file(model + "/model.safetensors") == before);
  EXPECT_EQ(run_crate({"info", model}).code, 0);
}

}  // namespace
}  // namespace crate::whole
