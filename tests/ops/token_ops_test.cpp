// What the cases of the token-wise operators cannot say: taps, errors, the loss apart from its gradient, and that
// results do not depend on the number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/parallel.h"
#include "base/rng.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/ista.h"
#include "ops/ista_wide.h"
#include "ops/layer_norm.h"
#include "ops/mlp.h"
#include "ops/scale_add.h"

namespace crate {
namespace {

double at(const Tensor& t, int64_t i) { return t.dtype == Dtype::f32 ? double{t.as<float>()[i]} : t.as<double>()[i]; }

void put(const Tensor& t, int64_t i, double value) {
  if (t.dtype == Dtype::f32)
    t.as<float>()[i] = static_cast<float>(value);
  else
    t.as<double>()[i] = value;
}

std::vector<double> numbers(const Tensor& t) {
  std::vector<double> out;
  for (int64_t i = 0; i < t.numel(); ++i) out.push_back(at(t, i));
  return out;
}

Tensor normal(Device& device, Shape shape, uint64_t major, double size = 1) {
  const Tensor t = device.allocate(shape);
  for (int64_t i = 0; i < t.numel(); ++i)
    put(t, i, size * Rng(9, Stream::test).normal(major, static_cast<uint64_t>(i)));
  return t;
}

Tensor tokens_of(Device& device, Shape shape, std::vector<int32_t> values) {
  const Tensor t = device.allocate(shape, Dtype::i32);
  std::copy(values.begin(), values.end(), t.as<int32_t>());
  return t;
}

// Hears what it is asked to hear; sets one site to zero when told so.
class Listener : public Tap {
 public:
  explicit Listener(std::string zeroed = "") : zeroed_(std::move(zeroed)) {}
  bool wants(std::string_view) override { return zeroed_.empty(); }
  void see(std::string_view site, const Tensor& value) override { heard[std::string(site)] = numbers(value); }
  bool edits(std::string_view site) override { return site == zeroed_; }
  void edit(std::string_view, const Tensor& value) override {
    for (int64_t i = 0; i < value.numel(); ++i) put(value, i, 0);
  }
  std::map<std::string, std::vector<double>> heard;

 private:
  std::string zeroed_;
};

class TokenOps : public testing::TestWithParam<DeviceKind> {
 protected:
  Device device_{{.kind = GetParam(), .guard = true}};
};

TEST_P(TokenOps, WideCodeIsHeardAndChangesNothing) {
  const Tensor v = normal(device_, {2, 67, 8}, 0), dict = normal(device_, {24, 8}, 1, 0.3);
  Listener listener;
  const auto forward = [&](RunOptions options, auto check) {
    crate::Run run(device_, options);
    check(ista_wide(run, v,
                    {.dict = dict, .eta = run.constant({1}, 0.2), .lambda = run.constant({1}, 0.1), .site = {"a."}}));
  };
  std::vector<double> silent, heard, recorded;
  forward({}, [&](const Tensor& y) { silent = numbers(y); });
  forward({.record = true}, [&](const Tensor& y) { recorded = numbers(y); });
  forward({.tap = &listener}, [&](const Tensor& y) { heard = numbers(y); });
  EXPECT_EQ(silent, heard);
  EXPECT_EQ(silent, recorded);
  const auto &code = listener.heard.at("a.code"), &pre = listener.heard.at("a.pre"),
             &first = listener.heard.at("a.code0");
  ASSERT_EQ(code.size(), 2U * 67 * 24);
  ASSERT_EQ(first.size(), code.size());
  for (std::size_t i = 0; i < code.size(); ++i) EXPECT_EQ(code[i], std::max(pre[i], 0.0));
  EXPECT_NE(first, code);
  for (int64_t j = 0; j < 8; ++j) {  // the read-out of the first token
    double sum = 0;
    for (int64_t i = 0; i < 24; ++i) sum += at(dict, i * 8 + j) * code[static_cast<std::size_t>(i)];
    EXPECT_NEAR(heard[static_cast<std::size_t>(j)], sum, 1e-5);
  }
}

TEST_P(TokenOps, EditedCodeReachesTheReadOut) {
  const Tensor v = normal(device_, {5, 6}, 0), w = normal(device_, {9, 6}, 1), out = normal(device_, {6, 9}, 2);
  const Tensor square = normal(device_, {6, 6}, 3), residual = normal(device_, {5, 6}, 4);
  const auto zeroed = [&](const char* site, auto build) {
    Listener listener(site);
    crate::Run run(device_, {.tap = &listener});
    EXPECT_EQ(numbers(build(run)), numbers(residual)) << site;
  };
  zeroed("b.code", [&](crate::Run& run) {
    return ista_wide(run, v,
                     {.dict = w,
                      .eta = run.constant({1}, 0.2),
                      .lambda = run.constant({1}, 0.1),
                      .residual = residual,
                      .site = {"b."}});
  });
  zeroed("b.code", [&](crate::Run& run) {
    return ista(run, v,
                {.dict = square,
                 .eta = run.constant({1}, 0.2),
                 .lambda = run.constant({1}, 0.1),
                 .residual = residual,
                 .site = {"b."}});
  });
  zeroed("b.hidden",
         [&](crate::Run& run) { return mlp(run, v, {.w_in = w, .w_out = out, .residual = residual, .site = {"b."}}); });
}

TEST_P(TokenOps, SquareCodeIsHeard) {
  const Tensor v = normal(device_, {3, 6}, 0), dict = normal(device_, {6, 6}, 1, 0.4);
  Listener listener;
  crate::Run run(device_, {.tap = &listener});
  const Tensor y =
      ista(run, v, {.dict = dict, .eta = run.constant({1}, 0.2), .lambda = run.constant({1}, 0.1), .site = {"c."}});
  EXPECT_EQ(listener.heard.at("c.code"), numbers(y));
  const auto& pre = listener.heard.at("c.pre");
  for (int64_t i = 0; i < y.numel(); ++i) EXPECT_EQ(at(y, i), std::max(pre[static_cast<std::size_t>(i)], 0.0));
}

TEST_P(TokenOps, LossOfUniformLogitsIsTheLogarithmOfTheVocabulary) {
  crate::Run run(device_);
  const Tensor targets = tokens_of(device_, {2, 2}, {1, -1, 0, 4});
  const CrossEntropy ce =
      cross_entropy(run, normal(device_, {2, 2, 3}, 0), {.head = run.constant({7, 3}, 0.5), .targets = targets});
  EXPECT_NEAR(at(ce.loss, 0), std::log(7.0), 1e-6);
  EXPECT_NEAR(at(ce.token_loss, 0), std::log(7.0), 1e-6);
  EXPECT_EQ(at(ce.token_loss, 1), 0);
}

TEST_P(TokenOps, NoCountedTargetGivesNoLossAndNoGradient) {
  crate::Run run(device_, {.record = true});
  const Tensor h = run.make({2, 3});
  for (int64_t i = 0; i < 6; ++i) put(h, i, 1);
  const Tensor targets = tokens_of(device_, {2}, {-1, -1});
  const CrossEntropy ce = cross_entropy(run, h, {.head = run.constant({4, 3}, 1), .targets = targets});
  run.backward(ce.loss);
  EXPECT_EQ(at(ce.loss, 0), 0);
  EXPECT_EQ(numbers(run.grad_of(h)), std::vector<double>(6, 0));
}

TEST_P(TokenOps, WeightScalesTheGradientOnly) {
  const Tensor values = normal(device_, {3, 4}, 0), head = normal(device_, {5, 4}, 1);
  const Tensor targets = tokens_of(device_, {3}, {0, 4, 2});
  const auto gradient = [&](double weight, double& loss) {
    crate::Run run(device_, {.record = true});
    const Tensor h = run.make({3, 4});
    for (int64_t i = 0; i < 12; ++i) put(h, i, at(values, i));
    const CrossEntropy ce = cross_entropy(run, h, {.head = head, .targets = targets, .weight = weight});
    run.backward(ce.loss);
    loss = at(ce.loss, 0);
    return numbers(run.grad_of(h));
  };
  double loss = 0, quarter_loss = 0;
  const auto whole = gradient(1, loss), quarter = gradient(0.25, quarter_loss);
  EXPECT_EQ(loss, quarter_loss);
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(quarter[i], whole[i] / 4, 1e-8);
}

TEST_P(TokenOps, ErrorsNameTheOperatorAndTheShape) {
  crate::Run run(device_);
  const Tensor x = run.constant({2, 6}, 1), six = run.constant({6}, 1), one = run.constant({1}, 1);
  const Tensor square = run.constant({6, 6}, 1), wide = run.constant({9, 6}, 1), odd = run.constant({5}, 1);
  EXPECT_THROW(layer_norm(run, x, {.scale = odd}), Error);
  EXPECT_THROW(layer_norm(run, x, {.scale = six, .shift = odd}), Error);
  EXPECT_THROW(scale_add(run, x, odd, x), Error);
  EXPECT_THROW(scale_add(run, x, six, six), Error);
  EXPECT_THROW(ista(run, x, {.dict = wide, .eta = one, .lambda = one}), Error);
  EXPECT_THROW(ista(run, x, {.dict = square, .eta = six, .lambda = one}), Error);
  EXPECT_THROW(ista(run, x, {.dict = square, .eta = one, .lambda = odd}), Error);
  EXPECT_THROW(ista(run, x, {.dict = square, .eta = one, .lambda = one, .steps = 0}), Error);
  EXPECT_THROW(ista_wide(run, x, {.dict = wide, .dict_out = square, .eta = one, .lambda = one}), Error);
  EXPECT_THROW(mlp(run, x, {.w_in = wide, .w_out = wide}), Error);
  EXPECT_THROW(embedding(run, tokens_of(device_, {1, 2}, {0, 9}), {.table = wide}), Error);
  EXPECT_THROW(embedding(run, tokens_of(device_, {1, 2}, {0, -1}), {.table = wide}), Error);
  EXPECT_THROW(embedding(run, tokens_of(device_, {1, 2}, {0, 1}), {.table = wide, .positions = x, .first_position = 1}),
               Error);
  EXPECT_THROW(cross_entropy(run, x, {.head = wide, .targets = tokens_of(device_, {2}, {0, 9})}), Error);
  EXPECT_THROW(cross_entropy(run, x, {.head = wide, .targets = tokens_of(device_, {3}, {0, 1, 2})}), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, TokenOps, testing::Values(DeviceKind::ref, DeviceKind::cpu),
                         [](const auto& info) { return name_of(info.param); });

TEST(CrossEntropyTest, RefusesAnotherGradientThanOne) {
  Device device;
  crate::Run run(device, {.record = true});
  const CrossEntropy ce = cross_entropy(run, run.constant({1, 2}, 1),
                                        {.head = run.constant({3, 2}, 1), .targets = tokens_of(device, {1}, {0})});
  *run.seed_grad(ce.loss).to.as<float>() = 2;
  EXPECT_THROW(run.walk(), Error);
}

// The operators without matrix products promise the same bits for every number of threads.
TEST(TokenOpsThreads, BitsDoNotDependOnTheirNumber) {
  Device device;
  const Tensor tokens = device.allocate({3, 401}, Dtype::i32);
  for (int64_t i = 0; i < tokens.numel(); ++i) tokens.as<int32_t>()[i] = static_cast<int32_t>(i * i % 13);
  Param table{"table", normal(device, {13, 70}, 0), device.allocate({13, 70}), false, false};
  Param positions{"positions", normal(device, {401, 70}, 1), device.allocate({401, 70}), false, false};
  Param scale{"scale", normal(device, {70}, 2), device.allocate({70}), false, false};
  const auto gradients = [&](int threads) {
    set_thread_count(threads);
    for (Param* p : {&table, &positions, &scale}) p->has_grad = false;
    crate::Run run(device, {.record = true});
    const Tensor x = embedding(run, tokens, {.table = run.param(table), .positions = run.param(positions)});
    const Tensor y = layer_norm(run, x, {.scale = run.param(scale)});
    run.backward(scale_add(run, y, run.param(scale), x));
    std::vector<double> all;
    for (const Param* p : {&table, &positions, &scale})
      for (const double number : numbers(p->grad)) all.push_back(number);
    return all;
  };
  const int threads = thread_count();
  const auto one = gradients(1), four = gradients(4);
  set_thread_count(threads);
  EXPECT_EQ(one, four);
}

}  // namespace
}  // namespace crate
