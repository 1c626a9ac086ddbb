// The commands against each other: protocols, caches, round trips, counts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

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

class Commands : public testing::Test {
 protected:
  void SetUp() override {
    const Outcome o = run_crate(tiny_training(model, {"--set", "train.steps=8"}));
    ASSERT_EQ(o.code, 0) << o.err;
  }
  Folder folder;
  std::string model = folder.at("model");
};

TEST_F(Commands, EvalCountsEveryTokenOnce) {
  write_file(folder.at("text.txt"), std::string(500, 'a') + " and some more text to read");
  const std::vector<std::string> args = {"eval", model, "--data", folder.at("text.txt")};
  const json blocks = run_json(args);
  EXPECT_EQ(blocks["tokens"], 527);  // the separator before the document is the one token that is no target
  EXPECT_EQ(blocks["bytes"], 527);
  EXPECT_NEAR(blocks["bits_per_byte"].get<double>(), blocks["loss"].get<double>() / std::log(2.0), 1e-9);
  EXPECT_NEAR(blocks["perplexity"].get<double>(), std::exp(blocks["loss"].get<double>()), 1e-6);
  std::vector<std::string> sliding = args;
  sliding.insert(sliding.end(), {"--stride", "7"});
  EXPECT_EQ(run_json(sliding)["tokens"], 527);
}

TEST_F(Commands, CachedAndUncachedGenerationAgree) {
  for (const std::vector<std::string>& how :
       {std::vector<std::string>{"--greedy"}, {"--temperature", "0.9", "--top-k", "20", "--top-p", "0.95"}}) {
    std::vector<std::string> args = {"generate", model, "--prompt", "First", "-n", "60"};  // past the context of 32
    args.insert(args.end(), how.begin(), how.end());
    const json cached = run_json(args);
    args.emplace_back("--no-cache");
    EXPECT_EQ(cached["tokens"], run_json(args)["tokens"]);
    EXPECT_GT(cached["tokens"].size(), 40u);
  }
  const json a = run_json({"generate", model, "--prompt", "a", "-n", "30", "--seed", "1"}),
             b = run_json({"generate", model, "--prompt", "a", "-n", "30", "--seed", "2"});
  EXPECT_NE(a["tokens"], b["tokens"]);
  const std::vector<std::string> greedy = {"generate", model, "--prompt", "a", "-n", "30", "--greedy"};
  const std::string text = run_json(greedy)["text"], stop = text.substr(5, 3);
  std::vector<std::string> stopping = greedy;
  stopping.insert(stopping.end(), {"--stop", stop});
  EXPECT_EQ(run_json(stopping)["text"], text.substr(0, text.find(stop)));
}

TEST_F(Commands, PromptTokensRunPastTheContext) {
  const json out = run_json({"generate", model, "--prompt-tokens", "70,105,114", "-n", "50", "--greedy"});
  EXPECT_EQ(out["tokens"].size(), 50u);
}

TEST_F(Commands, ForwardWritesWhatIsAsked) {
  for (const char* device : {"cpu", "ref"}) {
    const json out = run_json({"forward", model, "--in", "fixtures/batch.safetensors", "--out", folder.at("out"),
                               "--taps", "blocks.*.mssa.pattern", "--grad", "--device", device});
    const std::vector<std::string> names = out["tensors"];
    for (const char* name : {"logits", "loss", "tap/blocks.0.mssa.pattern", "tap/blocks.1.mssa.pattern",
                             "grad/blocks.1.ista.dict", "grad/embed.tokens"}) {
      EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
    }
    EXPECT_NE(read_file(folder.at("out")).find(std::string(device) == "ref" ? "\"F64\"" : "\"F32\""),
              std::string::npos);
  }
}

TEST(Info, PresetsHaveThePapersCounts) {
  // family.md 5.2: 6.54M, 6.64M, 6.74M, 59.9M, 81.15M; twins 6.64M, 6.83M, 7.03M, 81.1M, 123.6M; without positions.
  const std::vector<std::pair<const char*, double>> counts = {
      {"crate-lm-1l", 6.54}, {"crate-lm-6l", 59.89}, {"gpt-relu-3l", 7.03}, {"gpt-relu-12l", 123.6}};
  for (const auto& [name, millions] : counts) {
    EXPECT_NEAR(run_json({"info", "--preset", name})["parameters_without_positions"].get<double>() * 1e-6, millions,
                0.051)
        << name;
  }
  EXPECT_EQ(run_json({"info", "--preset", "crate-lm-12l"})["parameters"], 81934848);
}

TEST(Export, RoundTripsThroughTheAuthorsNames) {
  const Folder folder;
  for (const char* family : {"crate-lm", "crate-gpt", "gpt2", "gpt-relu"}) {
    const std::string model = folder.at(family), again = folder.at(std::string(family) + "-again");
    std::vector<std::string> args =
        tiny_training(model, {"--set", "train.steps=2", "--set", std::string("model.family=") + family});
    for (const char* plain : {"model.rotary=false", "model.learned_positions=true", "model.qk_norm=false",
                              "model.shift=false", "model.exclusive=false"}) {
      args.insert(args.end(), {"--set", plain});
    }
    ASSERT_EQ(run_crate(args).code, 0);
    for (const char* file : {"out.pth", "out.safetensors"}) {
      Outcome o = run_crate({"export", model, "--as", family, "-o", folder.at(file)});
      ASSERT_EQ(o.code, 0) << o.err;
      o = run_crate({"import", folder.at(file), "--family", family, "--config", "n_head=4", "-o", again});
      ASSERT_EQ(o.code, 0) << o.err;
      EXPECT_TRUE(read_file(model + "/model.safetensors") == read_file(again + "/model.safetensors"))
          << family << " " << file;
    }
  }
}

TEST(Data, CompressedTextsGiveTheSameTokens) {
  const Folder folder;
  write_file(folder.at("a.txt"), "one document with caf\xc3\xa9 and a line\nand another line\n");
  const Outcome packed = run_shell(
      "cd " + folder.at("") +
      " && gzip -k a.txt && xz -k a.txt && (command -v zstd > /dev/null && zstd -q -k a.txt || cp a.txt b.txt)");
  ASSERT_EQ(packed.code, 0) << packed.err;
  write_file(folder.at("a.jsonl"), json{{"text", read_file(folder.at("a.txt"))}}.dump() + "\n");
  std::string expected;
  for (const char* name : {"a.txt", "a.txt.gz", "a.txt.xz", "a.txt.zst", "a.jsonl"}) {
    if (!std::filesystem::exists(folder.at(name))) continue;
    const Outcome o =
        run_crate({"data", folder.at(name), "--val", folder.at("a.txt"), "-o", folder.at("data"), "--force"});
    ASSERT_EQ(o.code, 0) << o.err;
    const std::string tokens = read_file(folder.at("data/train.bin"));
    if (expected.empty()) expected = tokens;
    EXPECT_TRUE(tokens == expected && !tokens.empty()) << name;
  }
}

TEST(Data, ScenesAreFoldersThatOpenAgain) {
  const Folder folder;
  const std::string out = folder.at("scenes");
  const std::vector<std::string> command = {"data", "--scenes", "9", "--val-scenes", "8", "--size", "16", "-o", out};
  ASSERT_EQ(run_crate(command).code, 0);
  EXPECT_TRUE(std::filesystem::exists(out + "/train/circle/circle_000008.png"));
  EXPECT_TRUE(std::filesystem::exists(out + "/voc/SegmentationClass/star_000005.png"));
  const Outcome again = run_crate(command);
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("not empty"), std::string::npos) << again.err;
  const Outcome absent = run_crate({"data", "--bench-loader", folder.at("absent")});
  EXPECT_EQ(absent.code, 1);
  EXPECT_NE(absent.err.find(folder.at("absent")), std::string::npos) << absent.err;
}

TEST(Grow, PrintsTheTableTheExponentsAndTheFigure) {
  const Folder folder;
  const std::vector<std::string> args = {"grow",
                                         "crate-lm",
                                         "gpt2",
                                         "--by",
                                         "atoms",
                                         "--values",
                                         "16,32,64",
                                         "--size",
                                         "tiny",
                                         "--batch",
                                         "1",
                                         "--context",
                                         "32",
                                         "--repeats",
                                         "1",
                                         "--rounds",
                                         "1",
                                         "-o",
                                         folder.at("atoms.svg")};
  const Outcome o = run_crate(args);
  ASSERT_EQ(o.code, 0) << o.err;
  for (const char* text : {"crate-lm by atoms, f32: dim 128, 4 layers", "training ms", "forward   grows as atoms^",
                           "memory    grows as atoms^"})
    EXPECT_NE(o.out.find(text), std::string::npos) << text << " in\n" << o.out;
  EXPECT_NE(read_file(folder.at("atoms.svg")).find("gpt2 training ^"), std::string::npos);

  const json out = run_json(args);
  ASSERT_EQ(out["results"].size(), 2u);
  for (const json& model : out["results"]) {
    ASSERT_EQ(model["rows"].size(), 3u);
    EXPECT_EQ(model["rows"][1]["atoms"], 32);
    EXPECT_EQ(model["rows"][1]["tokens_a_step"], 32);
    EXPECT_GT(model["rows"][1]["train_ms"], 0);
    EXPECT_EQ(model["fits"][2]["what"], "memory");
    EXPECT_GT(model["fits"][2]["exponent"], 0);
  }
}

TEST(Grow, SaysWhatCannotGrow) {
  const Outcome square = run_crate({"grow", "crate-gpt", "--by", "atoms"});
  EXPECT_EQ(square.code, 1);
  EXPECT_NE(square.err.find("square"), std::string::npos) << square.err;
  const Outcome few = run_crate({"grow", "crate-lm", "--size", "tiny", "--by", "depth", "--values", "1,2"});
  EXPECT_EQ(few.code, 1);
  EXPECT_NE(few.err.find("three"), std::string::npos) << few.err;
}

TEST(Bench, MemoryIsOfOneFamilyInAProcessOfItsOwn) {
  const json out =
      run_json({"bench", "crate-lm", "--only", "memory", "--size", "tiny", "--batch", "2", "--repeats", "1"});
  ASSERT_EQ(out["results"].size(), 1u);
  const json& line = out["results"][0];
  EXPECT_GT(line["state_bytes"], 0);
  EXPECT_GT(line["memory_bytes"], line["state_bytes"]);
  EXPECT_GT(line["resident_bytes"], 0);
  EXPECT_GT(line["bytes_per_token_and_layer"], 0);
  EXPECT_EQ(run_crate({"bench", "crate-lm", "gpt2", "--only", "memory", "--size", "tiny"}).code, 1);
}

}  // namespace
}  // namespace crate::whole
