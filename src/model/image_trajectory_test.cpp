// Ten steps of Lion on the authors' vision model, with smoothed labels and decay of every weight: losses, gradient
// norms, weights.
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

const std::string path = CRATE_SOURCE_DIR "/../shared/fixtures/traj_crate_vision_lion_s.safetensors";

class ImageTrajectory : public testing::TestWithParam<DeviceKind> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
    file = read_safetensors(path);
    model = as_vision_model(import_model(device, Family::crate, read_official(path)), path);
    model->store().allocate_grads();
    optimizer = nlohmann::json::parse(file.metadata.at("optimizer"));
    pixels = file.tensors.at("in/images").to_f32();
    labels = file.tensors.at("in/labels").to_i64();
    for (const Param& p : model->store().all()) {
      m.push_back(device.allocate(p.value.shape));
      set_zero(device, m.back());
    }
  }
  void TearDown() override {
    for (const Tensor& t : m) device.pool().release(t.data);
  }

  // Labels smoothed by 0.1, in the numbers of the device.
  Tensor targets(crate::Run& run, std::size_t batch) const {
    const int64_t rows = file.tensors.at("in/labels").shape[1], classes = model->config().image.classes;
    const Tensor t = run.constant({rows, classes}, 0.1 / static_cast<double>(classes));
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t at = i * classes + labels[batch * static_cast<std::size_t>(rows) + static_cast<std::size_t>(i)];
      if (device.kind() == DeviceKind::ref)
        t.as<double>()[at] += 0.9;
      else
        t.as<float>()[at] += 0.9F;
    }
    return t;
  }

  double loss_of(std::size_t batch, bool record) {
    const std::vector<int64_t>& s = file.tensors.at("in/images").shape;  // steps, images, channels, rows, columns
    const Shape one{s[1], s[2], s[3], s[4]};
    crate::Run run(device, {.record = record});
    const Tensor images{pixels.data() + static_cast<int64_t>(batch) * one.numel(), one, Dtype::f32};
    const ClassLoss loss = model->loss(run, images, targets(run, batch));
    if (record) run.backward(loss.loss);
    return numbers_of(loss.loss)[0];
  }

  double update() {
    double squares = 0;
    std::size_t i = 0;
    for (Param& p : model->store().all()) {
      squares += sum_of_squares(device, p.grad);
      lion_step(device, {p.value, p.grad, m[i++]},
                {.lr = optimizer["lr"],
                 .beta1 = optimizer["beta1"],
                 .beta2 = optimizer["beta2"],
                 .decay = p.decay ? optimizer["weight_decay"].get<double>() : 0});
    }
    model->store().forget_grads();
    model->store().values_changed();
    return std::sqrt(squares);
  }

  void expect_weights(const std::string& prefix) const {
    for (const Param& p : model->store().all()) {
      const std::string name = prefix + official_name(Family::crate, p.name);
      EXPECT_LT(relative_error(numbers_of(p.value), file.tensors.at(name).to_f64()), weight_tolerance) << name;
    }
  }

  // In float32 a number whose direction is nearly 0 can take the other sign: then it moves 2 lr the other way.
  const double tolerance = GetParam() == DeviceKind::ref ? 1e-10 : 1e-5;
  const double weight_tolerance = GetParam() == DeviceKind::ref ? 1e-10 : 2e-3;
  Device device{{.kind = GetParam()}};
  SafetensorsFile file;
  std::unique_ptr<VisionModel> model;
  nlohmann::json optimizer;
  std::vector<float> pixels;
  std::vector<int64_t> labels;
  std::vector<Tensor> m;
};

TEST_P(ImageTrajectory, TenStepsOfLion) {
  const std::vector<double> losses = file.tensors.at("out/losses").to_f64();
  const std::vector<double> norms = file.tensors.at("out/grad_norms").to_f64();
  for (std::size_t step = 0; step < losses.size(); ++step) {
    EXPECT_LT(relative_error({loss_of(step, true)}, {losses[step]}), tolerance) << step;
    EXPECT_LT(relative_error({update()}, {norms[step]}), 10 * tolerance) << step;
    if (step == 0) expect_weights("step1/");
  }
  expect_weights("final/");
  EXPECT_LT(relative_error({loss_of(0, false)}, file.tensors.at("out/loss_after").to_f64()), tolerance);
}

TEST_P(ImageTrajectory, EveryWeightDecays) {
  std::vector<std::string> decayed = nlohmann::json::parse(file.metadata.at("decayed_parameters")), ours;
  for (const Param& p : model->store().all())
    if (p.decay) ours.push_back(official_name(Family::crate, p.name));
  std::sort(decayed.begin(), decayed.end());
  std::sort(ours.begin(), ours.end());
  EXPECT_EQ(ours, decayed);
}

INSTANTIATE_TEST_SUITE_P(All, ImageTrajectory, testing::Values(DeviceKind::ref, DeviceKind::cpu),
                         [](const auto& info) { return name_of(info.param); });

// Whose weights decay in the other families: products alone, or all but vectors.
TEST(Decay, IsTheFamilys) {
  const auto decayed = [](const char* preset_like, Family family) {
    ModelConfig c = config_of(family);
    for (const auto& [name, shape, decay] : parameter_shapes(c)) {
      if (name == preset_like) return decay;
    }
    ADD_FAILURE() << preset_like;
    return false;
  };
  for (const char* dictionary :
       {"blocks.0.ista.dict", "blocks.0.ista.dict_out", "embed.pos", "embed.cls", "norm.scale"})
    EXPECT_FALSE(decayed(dictionary, Family::crate_alpha)) << dictionary;
  for (const char* kernel : {"embed.patch", "blocks.0.mssa.u", "blocks.0.mssa.w", "head.weight"})
    EXPECT_TRUE(decayed(kernel, Family::crate_alpha)) << kernel;
  EXPECT_FALSE(decayed("embed.pos", Family::vit));
  EXPECT_TRUE(decayed("blocks.0.mlp.w_in", Family::vit));
  EXPECT_TRUE(decayed("blocks.0.ista.dict", Family::crate_mae));
  EXPECT_FALSE(decayed("norm.scale", Family::crate_mae));
}

}  // namespace
}  // namespace crate
