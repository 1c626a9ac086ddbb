// Images from the command line: a recipe on generated scenes to a model directory, evaluated and probed.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/whole/process.h"

namespace crate::whole {
namespace {

using nlohmann::json;

const char* recipe = R"([model]
family = "crate"
dim = 16
heads = 2
layers = 2
[model.image]
height = 16
width = 16
patch = 8
classes = 4
pooling = "mean"
[data]
train = "synthetic:64,size=16,classes=4"
workers = 1
[augment]
scale_min = 0.8
[train]
steps = 20
batch = 8
eval_every = 10
log_every = 5
[optimizer]
lr = 5e-3
)";

json run_json(std::vector<std::string> args) {
  args.emplace_back("--json");
  const Outcome o = run_crate(args);
  EXPECT_EQ(o.code, 0) << o.err;
  return json::parse(o.out, nullptr, false);
}

// What int8 costs the models that come with the project.
TEST(Images, NarrowProductsChangeHardlyAnAnswer) {
  for (const char* name : {"models/scenes-crate", "models/scenes-vit"}) {
    const auto top1 = [&](const char* dtype) -> double {
      return run_json(
          {"eval", CRATE_SOURCE_DIR "/" + std::string(name), "--data", "synthetic:1000", "--dtype", dtype})["top1"];
    };
    const double full = top1("f32");
    EXPECT_NEAR(top1("bf16"), full, 0.003) << name;
    EXPECT_NEAR(top1("int8"), full, 0.003) << name;
  }
}

TEST(Images, TrainedEvaluatedAndProbed) {
  const Folder folder;
  write_file(folder.at("r.toml"), recipe);
  const std::string model = folder.at("model"), data = "synthetic:40,size=16,classes=4";
  const json trained = run_json({"train", folder.at("r.toml"), "--out", model});
  EXPECT_EQ(trained["step"], 20);
  EXPECT_GT(trained["images_per_second"], 0);
  const json r = run_json({"eval", model, "--data", data, "--knn", "5", "--probe", "--train-data", data});
  EXPECT_EQ(r["images"], 40);
  EXPECT_GE(r["top5"].get<double>(), r["top1"].get<double>());
  EXPECT_EQ(r["top5"], 1.0);  // of four classes
  EXPECT_GT(r["loss"], 0);
  EXPECT_EQ(r["code_nonzero"].size(), 2u);
  EXPECT_GT(r["flops_per_image"], 0);
  EXPECT_GT(r["knn_top1"], 0);
  EXPECT_GT(r["probe_top1"], 0.25);
  const Outcome wrong = run_crate({"eval", model, "--data", "synthetic:40,size=16,classes=6"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_NE(wrong.err.find("class"), std::string::npos) << wrong.err;
}

// Two of the 64 images are damaged: each is named once, both are counted, evaluation refuses them.
TEST(Images, DamagedOnesAreNamedCountedAndLeftOut) {
  const Folder folder;
  const std::string scenes = folder.at("scenes"), model = folder.at("model");
  ASSERT_EQ(run_crate({"data", "--scenes", "64", "--val-scenes", "8", "--size", "16", "-o", scenes}).code, 0);
  const std::string ring = scenes + "/train/ring/ring_000003.png", star = scenes + "/train/star/star_000005.png";
  write_file(ring, read_file(ring).substr(0, 100));
  write_file(star, "no picture");
  write_file(folder.at("r.toml"), recipe);
  const Outcome o = run_crate({"train", folder.at("r.toml"), "--set", "data.train=" + scenes, "--set",
                               "data.val=" + scenes, "--set", "model.image.classes=8", "--out", model});
  EXPECT_EQ(o.code, 0) << o.err;
  for (const std::string& file : {ring, star}) {
    const auto at = o.err.find("left out: " + file);
    ASSERT_NE(at, std::string::npos) << o.err;
    EXPECT_EQ(o.err.find("left out: " + file, at + 1), std::string::npos) << o.err;
  }
  EXPECT_NE(read_file(model + "/metrics.jsonl").find("\"left_out\":2.0"), std::string::npos);
  const Outcome refused = run_crate({"eval", model, "--data", scenes, "--part", "train"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find(ring), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace crate::whole
