// crate mdl as a user meets it: the table of a tiny experiment, its sums, and taking it up again.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/whole/process.h"

namespace crate::whole {
namespace {

using nlohmann::json;

TEST(Lengths, EveryProgramIsCountedAndTheSumsHold) {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 900; ++i) text += "to be or not to be, that is question " + std::to_string(i * i) + "\n";
  folder.with("text.txt", text);
  folder.with("base.toml",
              "[model]\nfamily = \"crate-lm\"\ndim = 16\nheads = 2\nlayers = 2\ncontext = 32\nvocab = 257\n[data]\n"
              "train = \"text.txt\"\nval_fraction = 0.1\n[train]\nsteps = 60\nbatch = 4\neval_every = 0\n"
              "eval_tokens = 512\nlog_every = 5\n[optimizer]\nlr = 1e-2\n[schedule]\nwarmup = 5\n");
  const std::string recipe =
      folder.with("m.toml",
                  "[mdl]\nsample = 4096\nwidths = [4]\nsizes = [0.01]\n[compare]\nrecipe = \"base.toml\"\n"
                  "reference = \"white\"\nmatch = \"none\"\nseeds = [1]\n[arm.white]\n[arm.twin]\n"
                  "model.family = \"gpt2\"\n");
  const std::vector<std::string> call{"mdl", recipe, "--out", folder.at("out"), "--json"};
  const Outcome first = run_crate(call);
  ASSERT_EQ(first.code, 0) << first.err;
  const json table = json::parse(first.out);
  const auto bytes = static_cast<double>(text.size() * 9 / 10);
  EXPECT_NEAR(table["bytes"].get<double>(), bytes, 1);
  EXPECT_GT(table["decoder_source_zipped_bytes"], 5000);
  std::vector<std::string> names;
  for (const json& row : table["rows"]) {
    names.push_back(row["name"]);
    SCOPED_TRACE(names.back());
    EXPECT_GT(row["data_bits"], 0);
    EXPECT_EQ(row["points"].size(), 2u);
    EXPECT_NEAR(row["points"][1][1].get<double>(), row["two_part_bits"].get<double>(), 1);
    if (!row.contains("model")) continue;
    const json& m = row["model"];
    EXPECT_NEAR(row["two_part_bits"].get<double>(), row["data_bits"].get<double>() + m["best_bits"].get<double>(), 1);
    EXPECT_NE(row["exact"].get<std::string>().find("baseline"), std::string::npos);
    if (m["family"] != "gpt2") {
      EXPECT_GT(m["zero_codes"], 0);  // the twin's GELU never gives 0
    }
  }
  ASSERT_GE(names.size(), 6u);
  const std::vector<std::string> models(names.begin(), names.begin() + 6);
  EXPECT_EQ(models, (std::vector<std::string>{"white", "twin", "twin", "twin", "random weights", "order 2"}));
  const json &white = table["rows"][0], &twin = table["rows"][1], &random = table["rows"][4];
  EXPECT_NEAR(white["model"]["parameters"].get<double>() / twin["model"]["parameters"].get<double>(), 1, 0.1);
  EXPECT_LT(white["data_bits"], random["data_bits"]);
  EXPECT_LT(white["model"]["best_bits"], white["model"]["fp16_bits"]);
  // The first bytes cost most: the area above the end is positive, and less than all of it.
  EXPECT_GT(white["model"]["model_bits"], 0);
  EXPECT_LT(white["model"]["model_bits"], white["model"]["prequential_bits"]);
  EXPECT_TRUE(std::filesystem::exists(folder.at("out/lengths.svg")));
  // Nothing is trained or measured twice.
  const Outcome again = run_crate(call);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(json::parse(again.out), table);
}

TEST(Lengths, WhatIsMissingIsSaid) {
  const Folder folder;
  const std::string recipe =
      folder.with("m.toml", "[mdl]\nsimple = 1\n[compare]\nrecipe = \"" + std::string(CRATE_SOURCE_DIR) +
                                "/recipes/demo.toml\"\nreference = \"white\"\n[arm.white]\n"
                                "[arm.twin]\nmodel.family = \"gpt2\"\n");
  const Outcome o = run_crate({"mdl", recipe});
  EXPECT_EQ(o.code, 1);
  EXPECT_NE(o.err.find("did you mean 'mdl.s"), std::string::npos) << o.err;
}

}  // namespace
}  // namespace crate::whole
