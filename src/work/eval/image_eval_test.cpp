// Evaluation of image models: top-1, top-5 and loss against a plain count, nearest neighbours and linear probes on
// features whose answer is known.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "testing/folder.h"
#include "work/eval/evaluate_images.h"
#include "work/eval/knn.h"
#include "work/eval/linear_probe.h"

namespace crate {
namespace {

ModelConfig small_model(int64_t classes) {
  ModelConfig c = config_of(Family::vit);
  c.dim = 12;
  c.heads = 2;
  c.layers = 1;
  c.image.height = c.image.width = 16;
  c.image.patch = 8;
  c.image.classes = classes;
  return c;
}

TEST(EvaluateImages, CountsAsAPlainLoopDoes) {
  Device device;
  VisionModel model(device, small_model(8));
  model.init(3);
  const auto set = open_images("synthetic:30,size=16,classes=8", {.split = "val"});
  const ImageEvalResult r = evaluate_images(model, *set, {.transform = transform_for(model.config()), .batch = 7});
  EXPECT_EQ(r.images, 30);
  double loss = 0, first = 0, five = 0;
  for (int64_t i = 0; i < set->size(); ++i) {
    const Image image = transformed(set->decode(i), transform_for(model.config()));
    std::vector<float> numbers(3 * 16 * 16);
    normalise(image, normalisation_for(model.config()), numbers.data());
    crate::Run run(device);
    const Tensor logits = model.logits(run, {numbers.data(), {1, 3, 16, 16}, Dtype::f32});
    const float* l = logits.as<float>();
    double sum = 0;
    for (int c = 0; c < 8; ++c) sum += std::exp(double{l[c]});
    const int label = set->label(i);
    loss += std::log(sum) - double{l[label]};
    const auto before = std::count_if(l, l + 8, [&](float v) { return v > l[label]; });
    first += before < 1 ? 1 : 0;
    five += before < 5 ? 1 : 0;
  }
  EXPECT_NEAR(r.loss, loss / 30, 1e-5);
  EXPECT_NEAR(r.top1, first / 30, 1e-12);
  EXPECT_NEAR(r.top5, five / 30, 1e-12);
  ASSERT_EQ(r.code_nonzero.size(), 1u);
  EXPECT_GT(r.code_nonzero[0], 0);
  EXPECT_EQ(evaluate_images(model, *set, {.transform = transform_for(model.config()), .max_images = 11}).images, 11);
}

TEST(EvaluateImages, RefusesOtherClasses) {
  Device device;
  VisionModel model(device, small_model(5));
  model.init(3);
  const auto set = open_images("synthetic:8,size=16,classes=4", {.split = "val"});
  const std::string said = message_of([&] { evaluate_images(model, *set, {.transform = {0, 16, 16}}); });
  EXPECT_NE(said.find("4 classes"), std::string::npos) << said;
}

TEST(EvaluateImages, TheAuthorsTransformAtTheAuthorsSize) {
  ModelConfig c = small_model(5);
  c.image.height = c.image.width = 224;
  EXPECT_EQ(transform_for(c).resize, 256);
  EXPECT_EQ(transform_for(c).height, 224);
  c.image.height = c.image.width = 32;
  EXPECT_EQ(transform_for(c).resize, 0);
}

// `n` points around the corner of their class, class i mod `classes`, `noise` wide.
Features around_corners(int64_t n, int64_t classes, double noise, uint64_t seed) {
  Features f{.images = n, .width = classes, .values = {}, .labels = {}, .classes = classes};
  const Rng rng(seed, Stream::test);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < classes; ++j)
      f.values.push_back(static_cast<float>((j == i % classes ? 1 : 0) +
                                            noise * rng.normal(static_cast<uint64_t>(i), static_cast<uint64_t>(j))));
    f.labels.push_back(static_cast<int32_t>(i % classes));
  }
  return f;
}

TEST(Knn, NamesWhatLiesNear) {
  Device device;
  const Features train = around_corners(300, 6, 0.1, 1), val = around_corners(140, 6, 0.1, 2);
  EXPECT_DOUBLE_EQ(knn(device, train, val, {.neighbours = 20}).top1, 1);
  Features wrong = val;  // every label is the next class
  for (int32_t& label : wrong.labels) label = (label + 1) % 6;
  EXPECT_DOUBLE_EQ(knn(device, train, wrong, {.neighbours = 20}).top1, 0);
  EXPECT_NE(message_of([&] { knn(device, train, val, {.neighbours = 301}); }).find("301"), std::string::npos);
}

TEST(Knn, VotesFallWithDistance) {
  // Two neighbours of class 0 at cosine 0.6, one of class 1 at cosine 1: exp(1 / 0.07) outvotes 2 exp(0.6 / 0.07); at a
  // high temperature the two win.
  Device device;
  const Features train{3, 2, {0.6F, 0.8F, 0.6F, -0.8F, 1, 0}, {0, 0, 1}, 2};
  const Features val{1, 2, {2, 0}, {1}, 2};
  EXPECT_DOUBLE_EQ(knn(device, train, val, {.neighbours = 3}).top1, 1);
  EXPECT_DOUBLE_EQ(knn(device, train, val, {.neighbours = 3, .temperature = 10}).top1, 0);
}

TEST(LinearProbe, ReadsWhatIsLinearlyThere) {
  Features train = around_corners(400, 5, 0.3, 1), val = around_corners(100, 5, 0.3, 2);
  for (Features* f : {&train, &val})  // a channel a thousand times larger than the others says nothing
    for (int64_t i = 0; i < f->images; ++i) f->values[static_cast<std::size_t>(i * 5)] *= 1000;
  const ProbeResult r = linear_probe(train, val, {.epochs = 40, .batch = 50, .lr = 0.05});
  EXPECT_GT(r.val.top1, 0.85);
  EXPECT_LT(r.val_loss, 0.6);
  const ProbeResult again = linear_probe(train, val, {.epochs = 40, .batch = 50, .lr = 0.05});
  EXPECT_EQ(r.val_loss, again.val_loss);
}

}  // namespace
}  // namespace crate
