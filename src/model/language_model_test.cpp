// Whole models: gradients against the complex step, cpu against ref, decoding with a cache, recomputation, causality,
// sites, initialisation, errors.
#include "model/language_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/parallel.h"
#include "base/rng.h"
#include "testing/folder.h"
#include "testing/models.h"
#include "testing/reference.h"

namespace crate {
namespace {

class Models : public testing::TestWithParam<ModelCase> {
 protected:
  const ModelConfig& config() const { return GetParam().config; }
  std::unique_ptr<LanguageModel> model_on(Device& device) const {
    auto model = std::make_unique<LanguageModel>(device, config());
    init_noisily(*model, 5);
    return model;
  }
  std::vector<double> logits(LanguageModel& model, const Tensor& tokens, DecodeState* state = nullptr) const {
    crate::Run run(model.device());
    return numbers_of(model.logits(run, tokens, state));
  }
};

using Complex = std::complex<double>;

Complex complex_loss(LanguageModel& model, Batch& batch) {
  Run run(model.device(), {.train = true, .seed = 3, .step = 7});
  return *model.loss(run, batch.tokens(), batch.targets()).loss.as<Complex>();
}

// Every tensor moved along a random direction u by ih: Im f / h = <gradient, u>, without cancellation.
TEST_P(Models, GradientsAgreeWithTheComplexStep) {
  Device real({.kind = DeviceKind::ref, .guard = true}), complex({.kind = DeviceKind::ref, .complex = true});
  const auto model = model_on(real), moved = model_on(complex);
  Batch batch(2, 7, config().vocab, 1);
  model->store().allocate_grads();
  crate::Run run(real, {.record = true, .train = true, .seed = 3, .step = 7});
  run.backward(model->loss(run, batch.tokens(), batch.targets()).loss);
  constexpr double h = 1e-40;
  const Rng rng(9, Stream::test);
  for (const Param& p : model->store().all()) {
    Complex* values = moved->store().at(p.name).value.as<Complex>();
    double along = 0, size = 0;
    for (int64_t i = 0; i < p.value.numel(); ++i) {
      const double u = rng.normal(2, static_cast<uint64_t>(i)), g = p.grad.as<double>()[i];
      values[i] += Complex(0, h * u);
      along += u * g;
      size += g * g;
    }
    const double expected = complex_loss(*moved, batch).imag() / h;
    for (int64_t i = 0; i < p.value.numel(); ++i) values[i] = values[i].real();
    EXPECT_NEAR(along, expected, 1e-12 * std::sqrt(size * static_cast<double>(p.value.numel())) + 1e-16) << p.name;
    EXPECT_GT(size, 0) << p.name;
  }
}

TEST_P(Models, CpuAgreesWithRef) {
  Device exact({.kind = DeviceKind::ref}), fast({.guard = true});
  const auto slow = model_on(exact), quick = model_on(fast);
  Batch batch(3, 11, config().vocab, 2);
  const auto gradients = [&](LanguageModel& model) {
    model.store().allocate_grads();
    crate::Run run(model.device(), {.record = true, .train = true, .seed = 3, .step = 7});
    const CrossEntropy loss = model.loss(run, batch.tokens(), batch.targets(), 0.5);
    run.backward(loss.loss);
    return std::pair(numbers_of(loss.loss), numbers_of(loss.token_loss));
  };
  const auto [loss, token_loss] = gradients(*slow);
  const auto [quick_loss, quick_token_loss] = gradients(*quick);
  constexpr double tolerance = 2e-5;  // float32 against float64 through two layers
  EXPECT_LT(relative_error(quick_loss, loss), tolerance);
  EXPECT_LT(relative_error(quick_token_loss, token_loss), tolerance);
  for (const Param& p : slow->store().all())
    EXPECT_LT(relative_error(numbers_of(quick->store().at(p.name).grad), numbers_of(p.grad)), tolerance) << p.name;
  EXPECT_LT(relative_error(logits(*quick, batch.tokens()), logits(*slow, batch.tokens())), tolerance);
}

// What the backward reads is kept as bf16 and tensors of the stream are given up on the way: the gradient is that of
// the reference to within the rounding of products and the gates that it turns, also when the blocks are computed
// again, and a listener changes no bit.
TEST_P(Models, TrainOnBf16NearRef) {
  const auto gradient = [&](const DeviceOptions& options, bool recompute, Tap* tap) {
    Device device(options);
    const auto model = model_on(device);
    model->set_recompute(recompute);
    model->store().allocate_grads();
    Batch batch(3, 11, config().vocab, 2);
    crate::Run run(device, {.record = true, .train = true, .tap = tap, .seed = 3, .step = 7});
    const Tensor loss = model->loss(run, batch.tokens(), batch.targets()).loss;
    run.backward(loss);
    std::vector<double> all = numbers_of(loss);
    for (const Param& p : model->store().all()) {
      const std::vector<double> one = numbers_of(p.grad);
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  };
  const DeviceOptions bf16{.products = Products::bf16, .guard = true};
  RecordingTap tap;
  const std::vector<double> came = gradient(bf16, false, nullptr);
  EXPECT_LT(relative_error(came, gradient({.kind = DeviceKind::ref}, false, nullptr)), 0.1);
  EXPECT_LT(relative_error(gradient(bf16, true, nullptr), came), 3e-2);
  EXPECT_EQ(gradient(bf16, false, &tap), came);
}

// A prompt in two pieces, then token by token, fills the context; each logit row must be that of the whole text.
TEST_P(Models, DecodingWithACacheGivesTheSameLogits) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
    Device device({.kind = kind, .guard = true});
    const auto model = model_on(device);
    Batch batch(1, config().context, config().vocab, 3);
    const std::vector<double> whole = logits(*model, batch.tokens());
    DecodeState state(device, config(), 1);
    for (int turn = 0; turn < 2; ++turn) {
      std::vector<double> pieces;
      for (int64_t lo = 0; lo < config().context;) {
        const int64_t hi = lo == 0 ? 4 : lo == 4 ? 7 : lo + 1;
        const std::vector<double> rows = logits(*model, batch.tokens(lo, hi), &state);
        pieces.insert(pieces.end(), rows.begin(), rows.end());
        EXPECT_EQ(state.length(), hi);
        lo = hi;
      }
      EXPECT_LT(relative_error(pieces, whole), kind == DeviceKind::ref ? 1e-14 : 2e-6) << name_of(kind);
      EXPECT_THROW(logits(*model, batch.tokens(0, 1), &state), Error);
      state.clear();
    }
  }
}

// Rounding may differ: a step of ista adds its three terms in another order when its code is not kept.
TEST_P(Models, RecomputationGivesTheSameGradients) {
  std::vector<std::vector<double>> kept;
  for (const bool recompute : {false, true}) {
    Device device;
    const auto model = model_on(device);
    model->set_recompute(recompute);
    model->store().allocate_grads();
    Batch batch(2, 9, config().vocab, 4);
    crate::Run run(device, {.record = true, .train = true, .seed = 1});
    run.backward(model->loss(run, batch.tokens(), batch.targets()).loss);
    std::size_t i = 0;
    for (const Param& p : model->store().all()) {
      if (!recompute)
        kept.push_back(numbers_of(p.grad));
      else
        EXPECT_LT(relative_error(numbers_of(p.grad), kept[i++]), 2e-6) << p.name;
    }
  }
}

TEST_P(Models, LaterTokensDoNotChangeEarlierLogits) {
  Device device;
  const auto model = model_on(device);
  Batch one(1, 10, config().vocab, 6), other(1, 10, config().vocab, 6);
  other.tokens().as<int32_t>()[7] = (other.tokens().as<int32_t>()[7] + 1) % static_cast<int32_t>(config().vocab);
  const std::vector<double> a = logits(*model, one.tokens()), b = logits(*model, other.tokens());
  const auto rows = static_cast<std::ptrdiff_t>(7 * config().vocab);
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + rows, b.begin()));
  EXPECT_FALSE(std::equal(a.begin() + rows, a.end(), b.begin() + rows));
}

TEST_P(Models, ListeningDoesNotChangeWhatIsHeard) {
  Device device;
  const auto model = model_on(device);
  Batch batch(2, 8, config().vocab, 7);
  RecordingTap tap;
  crate::Run run(device, {.tap = &tap});
  const std::vector<double> heard = numbers_of(model->logits(run, batch.tokens()));
  EXPECT_LT(relative_error(heard, logits(*model, batch.tokens())), 1e-6);
  const bool white = is_white_box(config().family);
  for (const char* site : {"embed.out", "blocks.0.z_pre", "blocks.1.norm1.out", "blocks.1.z_mid", "blocks.0.norm2.out",
                           "blocks.1.z_post", "head.in", "head.logits"})
    EXPECT_TRUE(tap.values.contains(site)) << site;
  for (const char* site : {"coords", "pattern", "heads", "out"})
    EXPECT_TRUE(tap.values.contains(std::string(white ? "blocks.1.mssa." : "blocks.1.mha.") + site)) << site;
  EXPECT_TRUE(tap.values.contains(white ? "blocks.0.ista.code" : "blocks.0.mlp.hidden"));
  EXPECT_TRUE(tap.values.contains(white ? "blocks.1.ista.out" : "blocks.1.mlp.out"));
}

TEST_P(Models, StartWithTheSameNumbersEverywhere) {
  std::vector<std::vector<double>> first;
  const int threads = thread_count();
  for (const int use : {1, 3}) {
    for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
      set_thread_count(use);
      Device device({.kind = kind});
      LanguageModel model(device, config());
      model.init(11);
      std::vector<std::vector<double>> values;
      for (const Param& p : model.store().all()) values.push_back(numbers_of(p.value));
      if (first.empty()) first = values;
      EXPECT_EQ(values, first);
    }
  }
  set_thread_count(threads);
}

INSTANTIATE_TEST_SUITE_P(All, Models, testing::ValuesIn(small_models()),
                         [](const auto& info) { return info.param.name; });

TEST(LanguageModel, RefusesWhatItCannotRead) {
  Device device;
  LanguageModel model(device, small_models()[0].config);
  model.init(1);
  std::vector<int32_t> tokens(12, 3);
  const auto run_on = [&](const Tensor& t) {
    return message_of([&] {
      crate::Run run(device);
      static_cast<void>(model.logits(run, t));
    });
  };
  EXPECT_NE(run_on({tokens.data(), {1, 12}, Dtype::i32}).find("context of 11"), std::string::npos);
  EXPECT_NE(run_on({tokens.data(), {12}, Dtype::i32}).find("(batch, n)"), std::string::npos);
  for (const int32_t bad : {-1, 23}) {
    tokens[2] = bad;
    EXPECT_NE(run_on({tokens.data(), {1, 4}, Dtype::i32}).find("vocabulary of 23"), std::string::npos);
  }
}

TEST(LanguageModel, RefusesEditsWhileRecording) {
  Device device;
  LanguageModel model(device, small_models()[2].config);
  model.init(1);
  model.store().allocate_grads();
  Batch batch(1, 5, 23, 1);
  SteeringTap tap("blocks.0.ista.code", 1, 2.0);
  crate::Run run(device, {.record = true, .tap = &tap});
  EXPECT_THROW(model.loss(run, batch.tokens(), batch.targets()), Error);
}

TEST(LanguageModel, DropoutIsAddressedByTheStep) {
  Device device;
  LanguageModel model(device, small_models()[1].config);
  model.init(1);
  Batch batch(2, 9, 23, 1);
  const auto loss = [&](RunOptions options) {
    crate::Run run(device, options);
    return numbers_of(model.loss(run, batch.tokens(), batch.targets()).loss)[0];
  };
  EXPECT_EQ(loss({.train = true, .seed = 1, .step = 4}), loss({.train = true, .seed = 1, .step = 4}));
  EXPECT_NE(loss({.train = true, .seed = 1, .step = 4}), loss({.train = true, .seed = 1, .step = 5}));
  EXPECT_NE(loss({.train = true, .seed = 1, .step = 4}), loss({.train = true, .seed = 2, .step = 4}));
  EXPECT_EQ(loss({.seed = 1, .step = 4}), loss({.seed = 2, .step = 5}));
}

TEST(LanguageModel, StartsAsTheAuthorsStart) {
  ModelConfig c;
  c.family = Family::crate_lm;
  c.dim = 64;
  c.layers = 2;
  c.qk_norm = c.shift = c.direction = c.learn_eta = c.learn_lambda = true;
  c.eta = {0.1, 0.3};
  Device device({.kind = DeviceKind::ref});
  LanguageModel model(device, c);
  model.init(3);
  const auto stats = [&](const std::string& name) {
    double mean = 0, square = 0, most = 0;
    const std::vector<double> x = numbers_of(model.store().at(name).value);
    for (const double v : x) {
      mean += v / static_cast<double>(x.size());
      square += v * v / static_cast<double>(x.size());
      most = std::max(most, std::abs(v));
    }
    return std::array<double, 3>{mean, std::sqrt(square - mean * mean), most};
  };
  // Relative spread of a standard deviation over n numbers: 1 / sqrt(2 n), here below 1.2 %.
  EXPECT_NEAR(stats("embed.tokens")[1], 0.02, 0.001);
  EXPECT_NEAR(stats("blocks.1.mssa.u")[1], 0.02, 0.001);
  EXPECT_NEAR(stats("blocks.1.mssa.w")[1], 0.01, 0.0005);  // 0.02 / sqrt(2 * 2 layers)
  const double bound = std::sqrt(6.0 / 64);
  EXPECT_NEAR(stats("blocks.0.ista.dict")[1], bound / std::sqrt(3.0), 0.005);
  EXPECT_LE(stats("blocks.0.ista.dict")[2], bound);
  EXPECT_GT(stats("blocks.0.ista.dict")[2], 0.99 * bound);
  const std::vector<std::pair<std::string, double>> constants = {{"norm.scale", 1},
                                                                 {"norm.shift", 0},
                                                                 {"blocks.0.mssa.w_bias", 0},
                                                                 {"blocks.1.mssa.shift", 0},
                                                                 {"blocks.1.mssa.direction", 0},
                                                                 {"blocks.1.ista.eta", 0.3f},
                                                                 {"blocks.1.ista.lambda", 0.1f},
                                                                 {"blocks.0.mssa.temperature", 1}};
  for (const auto& [name, value] : constants) {
    EXPECT_EQ(stats(name)[0], value) << name;
    EXPECT_EQ(stats(name)[2], value) << name;
  }
  EXPECT_NE(numbers_of(model.store().at("blocks.0.mssa.u").value),
            numbers_of(model.store().at("blocks.1.mssa.u").value));
}

TEST(LanguageModel, TheTwinMayStartSparse) {
  ModelConfig c = config_of(Family::gpt_relu);
  c.dim = 64;
  c.layers = 1;
  c.sparse_start = true;
  c.eta = {0.25};
  c.lambda = {2};
  Device device({.kind = DeviceKind::ref});
  LanguageModel model(device, c);
  model.init(3);
  const auto largest = [&](const std::string& name) {
    double most = 0;
    for (const double v : numbers_of(model.store().at("blocks.0.mlp." + name).value))
      most = std::max(most, std::abs(v));
    return most;
  };
  const double bound = std::sqrt(6.0 / 64);  // of a dictionary
  EXPECT_NEAR(largest("w_in"), bound, 0.01 * bound);
  EXPECT_NEAR(largest("w_out"), 0.25 * bound, 0.0025 * bound);
  const std::vector<double> biases = numbers_of(model.store().at("blocks.0.mlp.b_in").value);
  EXPECT_EQ(biases, std::vector<double>(biases.size(), -2));
  EXPECT_EQ(largest("b_out"), 0);
}

TEST(DecodeState, KeepsOneVectorATokenForMssaAndTwoForTheTwin) {
  const auto models = small_models();
  EXPECT_EQ(DecodeState::bytes_per_token(models[2].config, Dtype::f32), 2 * 15 * 4);
  EXPECT_EQ(DecodeState::bytes_per_token(models[4].config, Dtype::f32), 2 * 2 * 15 * 4);
}

}  // namespace
}  // namespace crate
