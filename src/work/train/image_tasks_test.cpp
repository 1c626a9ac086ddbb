// Learning from images: it learns, resumes bit for bit, refuses what does not fit before it starts, goes on from
// another model, and the self-supervised loss has the gradient of its value.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "testing/folder.h"
#include "work/train/dino_task.h"
#include "work/train/image_task.h"
#include "work/train/init_from.h"
#include "work/train/trainer.h"

namespace crate {
namespace {

Recipe small_recipe() {
  Recipe r;
  r.model = config_of(Family::crate);
  r.model.dim = 16;
  r.model.heads = 2;
  r.model.layers = 2;
  r.model.image.height = r.model.image.width = 16;
  r.model.image.patch = 8;
  r.model.image.classes = 4;
  r.model.image.pooling = Pooling::mean;
  r.data.train = "synthetic:64,size=16,classes=4";
  r.data.val = "synthetic:24,size=16,classes=4";
  r.data.workers = 1;
  r.augment.scale_min = 0.8;
  r.train = {.steps = 10, .batch = 8, .eval_every = 4, .checkpoint_every = 4, .log_every = 1};
  r.optimizer.lr = 5e-3;
  r.schedule.warmup = 2;
  return r;
}

class ImageTraining : public testing::Test {
 protected:
  TrainOptions into(const std::string& out) const {
    TrainOptions o;
    o.out = folder_.at(out);
    return o;
  }
  TrainResult stopped_after(const std::string& out, int64_t steps) {
    std::atomic<bool> stop = false;
    TrainOptions o = into(out);
    o.stop = &stop;
    o.observer.step = [&](const StepReport& r) { stop = r.step >= steps; };
    return train(recipe, o);
  }
  void expect_same(const std::string& a, const std::string& b, std::initializer_list<const char*> names) const {
    for (const char* name : names)
      EXPECT_TRUE(read_text_file(folder_.at(a) + "/" + name) == read_text_file(folder_.at(b) + "/" + name)) << name;
  }

  Folder folder_;
  Recipe recipe = small_recipe();
};

TEST_F(ImageTraining, LearnsAndReports) {
  recipe.train.steps = 90;
  recipe.train.log_every = 30;
  recipe.train.ema = 0.9;
  std::vector<StepReport> reports;
  TrainOptions o = into("m");
  o.observer.step = [&](const StepReport& r) { reports.push_back(r); };
  const TrainResult result = train(recipe, o);
  ASSERT_EQ(reports.size(), 3u);
  EXPECT_LT(reports.back().loss, reports.front().loss);
  EXPECT_GT(value_of(reports.back().metrics, "top1"), 0.3);
  EXPECT_GE(value_of(reports.back().metrics, "waiting"), 0);
  EXPECT_LE(value_of(reports.back().metrics, "waiting"), 1);
  EXPECT_EQ(reports.back().seen, 90 * 8);
  EXPECT_STREQ(reports.back().unit, "images");
  EXPECT_GT(reports.back().code_nonzero, 0);
  EXPECT_EQ(result.validation.value("top5"), 1);  // of four classes
  EXPECT_EQ(result.validation.value("images"), 24);
  EXPECT_NE(result.averaged.loss, result.validation.loss);
  EXPECT_EQ(read_text_file(folder_.at("m") + "/classes.txt"), "circle\nsquare\ntriangle\nring\n");
  Device device;
  EXPECT_EQ(load_vision_model(device, folder_.at("m") + "/ema")->config().image.classes, 4);
}

TEST_F(ImageTraining, ResumesBitForBit) {
  recipe.augment.mixup = 0.2;
  recipe.augment.cutmix = 1.0;
  recipe.augment.label_smoothing = 0.1;
  recipe.train.micro_batches = 2;
  recipe.train.ema = 0.5;
  train(recipe, into("whole"));
  EXPECT_TRUE(stopped_after("broken", 6).stopped);
  TrainOptions o = into("broken");
  o.resume = true;
  recipe.data.workers = 2;  // whatever the number of threads that decode
  train(recipe, o);
  expect_same("whole", "broken", {"model.safetensors", "training_state.safetensors", "ema/model.safetensors"});
}

TEST_F(ImageTraining, PartsOfABatchAddUpToIt) {
  recipe.train.steps = 3;
  const double whole = train(recipe, into("whole")).validation.loss;
  recipe.train.micro_batches = 4;
  EXPECT_NEAR(train(recipe, into("parts")).validation.loss, whole, 1e-4);
}

TEST_F(ImageTraining, EpochsDecideTheSteps) {
  recipe.train.epochs = 2;
  recipe.train.batch = 20;  // 3 in 64
  recipe.train.micro_batches = 1;
  EXPECT_EQ(train(recipe, into("m")).step, 6);
}

TEST_F(ImageTraining, RefusesWhatDoesNotFitBeforeItStarts) {
  const auto error = [&] { return message_of([&] { train(recipe, into("m")); }); };
  recipe.model.image.classes = 5;
  EXPECT_NE(error().find("4"), std::string::npos) << error();
  recipe = small_recipe();
  recipe.train.batch = 65;
  EXPECT_NE(error().find("train.batch"), std::string::npos) << error();
  recipe = small_recipe();
  recipe.augment.crop = "oval";
  EXPECT_NE(error().find("crop"), std::string::npos) << error();
  recipe = small_recipe();
  recipe.data.train = folder_.at("nothing");
  EXPECT_NE(error().find("nothing"), std::string::npos) << error();
  EXPECT_FALSE(std::filesystem::exists(folder_.at("m")));
}

TEST_F(ImageTraining, GoesOnFromAnotherModelWithOtherClasses) {
  train(recipe, into("first"));
  recipe.train.init_from = folder_.at("first");
  recipe.data.train = "synthetic:64,size=16,classes=6";
  recipe.data.val = "synthetic:24,size=16,classes=6";
  recipe.model.image.classes = 6;
  Device device;
  VisionModel fresh(device, recipe.model), fine(device, recipe.model);
  const auto first = load_vision_model(device, folder_.at("first"));
  fresh.init(recipe.train.seed);
  fine.init(recipe.train.seed);
  init_from(fine, folder_.at("first"));
  for (const Param& p : fine.store().all()) {
    const bool head = p.name.starts_with("head.");
    const Param& expected = head ? fresh.store().at(p.name) : first->store().at(p.name);
    for (int64_t i = 0; i < p.value.numel(); ++i)
      ASSERT_EQ(p.value.as<float>()[i], expected.value.as<float>()[i]) << p.name;
  }
  EXPECT_EQ(train(recipe, into("second")).step, 10);
  recipe.model.dim = 32;
  const std::string said = message_of([&] { train(recipe, into("third")); });
  EXPECT_NE(said.find("embed."), std::string::npos) << said;
  EXPECT_NE(said.find(folder_.at("first")), std::string::npos) << said;
}

TEST_F(ImageTraining, AMaskedAutoEncoderLearnsResumesAndIsGoneOnFrom) {
  const Recipe classifier = recipe;
  for (const Family family : {Family::crate_mae, Family::vit_mae}) {
    const std::string name = name_of(family);
    recipe = classifier;
    recipe.model = config_of(family);
    recipe.model.dim = 16;
    recipe.model.heads = 2;
    recipe.model.layers = 1;
    recipe.model.image.height = recipe.model.image.width = 16;
    recipe.model.image.patch = 4;
    recipe.model.image.norm_pix = true;
    recipe.train.micro_batches = 2;
    const TrainResult whole = train(recipe, into(name));
    EXPECT_TRUE(std::isfinite(whole.validation.loss));
    stopped_after(name + "-broken", 6);
    TrainOptions o = into(name + "-broken");
    o.resume = true;
    train(recipe, o);
    expect_same(name, name + "-broken", {"model.safetensors", "training_state.safetensors", "reconstructions.png"});
    const Image sheet = load_image(folder_.at(name) + "/reconstructions.png");
    EXPECT_EQ(sheet.width, 3 * 18 - 2);
    EXPECT_EQ(sheet.height, 8 * 18 - 2);
    recipe.model.family = family == Family::crate_mae ? Family::crate : Family::vit;
    recipe.model.image.classes = 4;
    recipe.train.init_from = folder_.at(name);
    EXPECT_EQ(train(recipe, into(name + "-fine")).step, 10);
  }
}

TEST_F(ImageTraining, PatchesKeepTheirMeaningInAnotherFamilysOrder) {
  recipe.model = config_of(Family::crate_mae);
  recipe.model.dim = 8;
  recipe.model.heads = 2;
  recipe.model.layers = 1;
  recipe.model.image.height = recipe.model.image.width = 4;
  recipe.model.image.patch = 2;
  Device device;
  MaeModel encoder(device, recipe.model);
  encoder.init(1);
  save_model(folder_.at("mae"), encoder);
  recipe.model.family = Family::crate;
  recipe.model.image.patch_norm = true;  // and with it the order of the authors' CRATE
  recipe.model.image.classes = 3;
  VisionModel model(device, recipe.model);
  model.init(2);
  init_from(model, folder_.at("mae"));
  const float *from = encoder.store().at("embed.patch").value.as<float>(),
              *to = model.store().at("embed.patch").value.as<float>();
  for (int64_t d = 0; d < 8; ++d)
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(to[d * 12 + i * 3 + c], from[d * 12 + c * 4 + i]);
  const std::string other = "blocks.0.mssa.u";
  EXPECT_EQ(model.store().at(other).value.as<float>()[5], encoder.store().at(other).value.as<float>()[5]);
}

class SelfSupervision : public ImageTraining {
 protected:
  void SetUp() override {
    recipe.train.task = "simdino";
    recipe.augment.scale_min = 0.1;
    recipe.model.image.classes = 0;
    recipe.dino = {.hidden = 12, .features = 7, .small_views = 2, .small_size = 16, .split = 0.5, .momentum = 0.9};
  }
};

TEST_F(SelfSupervision, LearnsResumesAndKeepsItsTeacher) {
  const TrainResult whole = train(recipe, into("whole"));
  EXPECT_TRUE(std::isfinite(whole.validation.loss));
  EXPECT_GT(whole.averaged.value("knn_top1"), 0);
  EXPECT_GT(value_of(whole.last.metrics, "spread"), 0);
  EXPECT_LE(value_of(whole.last.metrics, "agreement"), 1);
  stopped_after("broken", 6);
  TrainOptions o = into("broken");
  o.resume = true;
  train(recipe, o);
  expect_same("whole", "broken",
              {"model.safetensors", "projection.safetensors", "training_state.safetensors", "ema/model.safetensors"});
}

TEST_F(SelfSupervision, TheGradientIsThatOfTheLoss) {
  Device device({.kind = DeviceKind::ref});
  DinoTask task(device, recipe);
  task.init();
  for (ParameterStore* store : task.stores()) store->allocate_grads();
  for (ParameterStore* store : task.stores())  // the student leaves its teacher
    for (Param& p : store->all())
      for (int64_t i = 0; i < p.value.numel(); ++i)
        p.value.as<double>()[i] *= 1 + 0.1 * std::sin(static_cast<double>(i));
  Sums sums;
  double loss = 0;
  {
    crate::Run run(device, {.record = true});
    loss = task.learn(run, {0, 0, 1}, sums);
  }
  EXPECT_NEAR(task.probe(0), loss, 1e-12);
  for (ParameterStore* store : task.stores()) {
    for (Param& p : store->all()) {
      ASSERT_TRUE(p.has_grad) << p.name;
      double largest = 0;
      for (int64_t i = 0; i < p.grad.numel(); ++i) largest = std::max(largest, std::abs(p.grad.as<double>()[i]));
      const int64_t i = p.value.numel() / 2;
      double& w = p.value.as<double>()[i];
      const double before = w, h = 1e-6;
      w = before + h;
      const double up = task.probe(0);
      w = before - h;
      const double down = task.probe(0);
      w = before;
      EXPECT_NEAR(p.grad.as<double>()[i], (up - down) / (2 * h), 1e-5 * std::max(largest, 1e-3)) << p.name;
    }
  }
}

}  // namespace
}  // namespace crate
