// The cost told without running is the cost counted by a run.
#include "model/cost.h"

#include <gtest/gtest.h>

#include "model/presets.h"
#include "testing/models.h"

namespace crate {
namespace {

void expect_same(const Cost& told, const Cost& counted, const std::string& what) {
  EXPECT_NEAR(told.flops, counted.flops, 1e-9 * counted.flops) << what;
  EXPECT_NEAR(told.bytes, counted.bytes, 1e-9 * counted.bytes) << what;
}

TEST(ModelCost, IsWhatRunsCount) {
  for (const ModelCase& c : small_models()) {
    Device device;
    LanguageModel model(device, c.config);
    model.init(1);
    model.store().allocate_grads();
    Batch batch(3, 7, c.config.vocab, 1);
    {
      crate::Run run(device, {.record = true, .train = true});
      const CrossEntropy loss = model.loss(run, batch.tokens(), batch.targets());
      run.backward(loss.loss);
      const ModelCost told = training_cost(c.config, 3, 7);
      expect_same(told.forward, run.forward_cost(), c.name + " forward");
      expect_same(told.backward, run.backward_cost(), c.name + " backward");
    }
    {
      crate::Run run(device);
      static_cast<void>(model.logits(run, batch.tokens()));
      expect_same(forward_cost(c.config, 3, 7), run.forward_cost(), c.name + " logits");
    }
    DecodeState state(device, c.config, 1);
    Batch text(1, 6, c.config.vocab, 1);
    for (int64_t i = 0; i < 6; ++i) {
      crate::Run run(device);
      static_cast<void>(model.logits(run, text.tokens(i, i + 1), &state));
      if (i == 5) expect_same(decode_cost(c.config, 5), run.forward_cost(), c.name + " decode");
    }
  }
}

TEST(ModelCost, IsWhatRunsOnImagesCount) {
  for (const ModelCase& c : small_image_models()) {
    Device device;
    const auto model = make_model(device, c.config);
    model->init(1);
    model->store().allocate_grads();
    PixelBatch batch(c.config, 3, 0, 1);
    crate::Run run(device, {.record = true, .train = true});
    auto* classifier = dynamic_cast<VisionModel*>(model.get());
    auto* autoencoder = dynamic_cast<MaeModel*>(model.get());
    run.backward(classifier ? classifier->loss(run, batch.images(), batch.targets()).loss
                            : autoencoder->forward(run, batch.images(), batch.noise()).loss);
    const ModelCost told = training_cost(c.config, 3, 0);
    expect_same(told.forward, run.forward_cost(), c.name + " forward");
    expect_same(told.backward, run.backward_cost(), c.name + " backward");
    crate::Run reading(device);
    if (classifier)
      static_cast<void>(classifier->logits(reading, batch.images()));
    else
      static_cast<void>(autoencoder->forward(reading, batch.images(), batch.noise()));
    expect_same(forward_cost(c.config, 3, 0), reading.forward_cost(), c.name + " logits");
  }
}

// Published operation counts of CRATE at 224 x 224, attention and ista alone (two products): 12.6 G for B, 43.3 G for
// L.
TEST(ModelCost, LiesNearThePublishedCountsOfCrate) {
  EXPECT_NEAR(forward_cost(preset("crate-b"), 1, 0).flops, 12.6e9, 0.4e9);
  EXPECT_NEAR(forward_cost(preset("crate-l"), 1, 0).flops, 43.3e9, 1e9);
}

// 6 operations a weight and token, and 12 d n a token and layer for attention without a causal saving (Kaplan et al.,
// 2020): for a deep model with a long context the count must lie near, below because of the causal mask.
TEST(ModelCost, LiesNearTheRuleOfThumb) {
  const ModelConfig c = preset("gpt2-base");
  const ModelCost cost = training_cost(c, 1, c.context);
  const double a_token = (cost.forward.flops + cost.backward.flops) / static_cast<double>(c.context);
  const auto d = static_cast<double>(c.dim), n = static_cast<double>(c.context), layers = static_cast<double>(c.layers);
  const double rule = 6 * (12 * d * d * layers + static_cast<double>(c.vocab) * d) + 6 * d * n * layers;
  EXPECT_NEAR(a_token / rule, 1, 0.02);
}

}  // namespace
}  // namespace crate
