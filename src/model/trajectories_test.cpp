// Ten steps of training as the authors' models and torch.optim.AdamW take them: losses, gradient norms, weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "model/import.h"
#include "model/names.h"
#include "ops/optimiser.h"
#include "testing/reference.h"

namespace crate {
namespace {

const std::string folder = CRATE_SOURCE_DIR "/../shared/fixtures/";

struct Subject {
  const char* name;
  Family family;
  DeviceKind device;
};

class Trajectories : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    const std::string path = folder + GetParam().name + ".safetensors";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
    file = read_safetensors(path);
    model = as_language_model(import_model(device, GetParam().family, read_official(path)), path);
    model->store().allocate_grads();
    optimizer = nlohmann::json::parse(file.metadata.at("optimizer"));
    for (const Param& p : model->store().all()) {
      for (auto* moments : {&m, &v}) {
        moments->push_back(device.allocate(p.value.shape));
        set_zero(device, moments->back());
      }
    }
  }
  void TearDown() override {
    for (const auto& moments : {m, v})
      for (const Tensor& t : moments) device.pool().release(t.data);
  }

  double loss_of(std::size_t batch, bool record) {
    const auto& shape = file.tensors.at("in/tokens").shape;  // steps, sequences, tokens
    const std::size_t size = static_cast<std::size_t>(shape[1] * shape[2]);
    std::vector<int32_t> tokens = tokens_of(file.tensors.at("in/tokens"));
    std::vector<int32_t> targets = tokens_of(file.tensors.at("in/targets"));
    const Shape one{shape[1], shape[2]};
    crate::Run run(device, {.record = record});
    const CrossEntropy loss = model->loss(run, {tokens.data() + batch * size, one, Dtype::i32},
                                          {targets.data() + batch * size, one, Dtype::i32});
    if (record) run.backward(loss.loss);
    return numbers_of(loss.loss)[0];
  }

  double update(int64_t step) {
    double squares = 0;
    std::size_t i = 0;
    for (Param& p : model->store().all()) {
      squares += sum_of_squares(device, p.grad);
      adamw_step(device, {p.value, p.grad, m[i], v[i]},
                 {.lr = optimizer["lr"],
                  .beta1 = optimizer["beta1"],
                  .beta2 = optimizer["beta2"],
                  .eps = optimizer["eps"],
                  .decay = p.decay ? optimizer["weight_decay"].get<double>() : 0,
                  .step = step});
      ++i;
    }
    model->store().forget_grads();
    model->store().values_changed();
    return std::sqrt(squares);
  }

  void expect_weights(const std::string& prefix) const {
    for (const Param& p : model->store().all()) {
      const std::string name = official_name(GetParam().family, p.name);
      // A key bias has no gradient in theory; AdamW makes steps of full size out of the rounding noise there.
      const bool noise = GetParam().device == DeviceKind::cpu && p.name.ends_with("qkv_bias");
      EXPECT_LT(relative_error(numbers_of(p.value), file.tensors.at(prefix + name).to_f64()), noise ? 1e-3 : tolerance)
          << prefix << name;
    }
  }

  // Ten updates let rounding grow: measured 9e-13 in float64, 4e-6 in float32.
  const double tolerance = GetParam().device == DeviceKind::ref ? 1e-11 : 1e-5;
  Device device{{.kind = GetParam().device}};
  SafetensorsFile file;
  std::unique_ptr<LanguageModel> model;
  nlohmann::json optimizer;
  std::vector<Tensor> m, v;
};

TEST_P(Trajectories, TenStepsOfAdamW) {
  const std::vector<double> losses = file.tensors.at("out/losses").to_f64();
  const std::vector<double> norms = file.tensors.at("out/grad_norms").to_f64();
  for (std::size_t step = 0; step < losses.size(); ++step) {
    EXPECT_LT(relative_error({loss_of(step, true)}, {losses[step]}), tolerance) << step;
    EXPECT_LT(relative_error({update(static_cast<int64_t>(step) + 1)}, {norms[step]}), tolerance) << step;
    if (step == 0) expect_weights("step1/");
  }
  expect_weights("final/");
  EXPECT_LT(relative_error({loss_of(0, false)}, file.tensors.at("out/loss_after").to_f64()), tolerance);
}

TEST_P(Trajectories, DecayFallsOnTensorsOfTwoDimensions) {
  std::vector<std::string> decayed = nlohmann::json::parse(file.metadata.at("decayed_parameters"));
  std::vector<std::string> ours;
  for (const Param& p : model->store().all())
    if (p.decay) ours.push_back(official_name(GetParam().family, p.name));
  std::sort(decayed.begin(), decayed.end());
  std::sort(ours.begin(), ours.end());
  EXPECT_EQ(ours, decayed);
}

constexpr DeviceKind ref = DeviceKind::ref, cpu = DeviceKind::cpu;
INSTANTIATE_TEST_SUITE_P(All, Trajectories,
                         testing::Values(Subject{"traj_crate_gpt_adamw_s", Family::crate_gpt, ref},
                                         Subject{"traj_crate_gpt_adamw_s", Family::crate_gpt, cpu},
                                         Subject{"traj_crate_lm_adamw_s", Family::crate_lm, ref},
                                         Subject{"traj_crate_lm_adamw_s", Family::crate_lm, cpu},
                                         Subject{"traj_gpt2_adamw_s", Family::gpt2, ref},
                                         Subject{"traj_gpt2_adamw_s", Family::gpt2, cpu}),
                         [](const auto& info) {
                           return std::string(info.param.name) + "_" + name_of(info.param.device);
                         });

// The reference takes its Lion steps with a vision model. Its first update moves every weight by lr in the direction of
// the gradient's sign, besides the decay; a gradient with those signs must give the same weights here.
TEST(Lion, FirstUpdateOfTheReference) {
  const std::string path = folder + "traj_crate_vision_lion_s.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const SafetensorsFile file = read_safetensors(path);
  const nlohmann::json o = nlohmann::json::parse(file.metadata.at("optimizer"));
  const double lr = o["lr"], decay = o["weight_decay"];
  Device device({.kind = DeviceKind::ref});
  int64_t moved = 0;
  for (const auto& [name, after] : file.tensors) {
    if (!name.starts_with("step1/")) continue;
    std::vector<double> p = file.tensors.at("param/" + name.substr(6)).to_f64(), g(p.size()), m(p.size());
    const std::vector<double> expected = after.to_f64();
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double sign = (p[i] * (1 - lr * decay) - expected[i]) / lr;
      ASSERT_LT(std::abs(sign - std::round(sign)), 1e-9) << name;
      g[i] = 0.3 * std::round(sign);
      moved += std::round(sign) != 0;
    }
    const auto view = [&](std::vector<double>& x) {
      return Tensor{x.data(), {static_cast<int64_t>(x.size())}, Dtype::f64};
    };
    lion_step(device, {view(p), view(g), view(m)},
              {.lr = lr, .beta1 = o["beta1"], .beta2 = o["beta2"], .decay = decay});
    EXPECT_LT(relative_error(p, expected), 1e-14) << name;
    for (std::size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(m[i], (1 - o["beta2"].get<double>()) * g[i], 1e-16);
  }
  EXPECT_GT(moved, 9000);
}

}  // namespace
}  // namespace crate
