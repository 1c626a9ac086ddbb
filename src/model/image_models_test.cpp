// Models of images: gradients against the complex step, cpu against ref, recomputation, other sizes, names both ways.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "model/import.h"
#include "model/names.h"
#include "testing/folder.h"
#include "testing/models.h"
#include "testing/reference.h"

namespace crate {
namespace {

Tensor loss_of(Model& model, Run& run, PixelBatch& batch) {
  if (auto* classifier = dynamic_cast<VisionModel*>(&model))
    return classifier->loss(run, batch.images(), batch.targets(), 0.5).loss;
  return dynamic_cast<MaeModel&>(model).forward(run, batch.images(), batch.noise(), 0.5).loss;
}

class ImageModels : public testing::TestWithParam<ModelCase> {
 protected:
  const ModelConfig& config() const { return GetParam().config; }
  std::unique_ptr<Model> model_on(Device& device) const {
    auto model = make_model(device, config());
    init_noisily(*model, 5);
    return model;
  }
  static constexpr RunOptions training = {.record = true, .train = true, .seed = 3, .step = 7};
};

using Complex = std::complex<double>;

// Every tensor moved along a random direction u by ih: Im f / h = <gradient, u>, without cancellation. Images of the
// model's size, and larger ones.
TEST_P(ImageModels, GradientsAgreeWithTheComplexStep) {
  constexpr double h = 1e-40;
  const Rng rng(9, Stream::test);
  for (const int64_t more : {0, 1}) {
    Device real({.kind = DeviceKind::ref, .guard = true}), complex({.kind = DeviceKind::ref, .complex = true});
    const auto model = model_on(real), moved = model_on(complex);
    PixelBatch batch(config(), 2, more, 1);
    model->store().allocate_grads();
    crate::Run run(real, training);
    run.backward(loss_of(*model, run, batch));
    for (const Param& p : model->store().all()) {
      if (is_fixed(config(), p.name)) continue;
      Complex* values = moved->store().at(p.name).value.as<Complex>();
      double along = 0, size = 0;
      for (int64_t i = 0; i < p.value.numel(); ++i) {
        const double u = rng.normal(2, static_cast<uint64_t>(i)), g = 2 * p.grad.as<double>()[i];  // weight 1/2
        values[i] += Complex(0, h * u);
        along += u * g;
        size += g * g;
      }
      crate::Run again(complex, {.train = true, .seed = 3, .step = 7});
      const double expected = loss_of(*moved, again, batch).as<Complex>()->imag() / h;
      for (int64_t i = 0; i < p.value.numel(); ++i) values[i] = values[i].real();
      EXPECT_NEAR(along, expected, 1e-12 * std::sqrt(size * static_cast<double>(p.value.numel())) + 1e-16) << p.name;
      EXPECT_GT(size, 0) << p.name;
    }
  }
}

TEST_P(ImageModels, CpuAgreesWithRef) {
  Device exact({.kind = DeviceKind::ref}), fast({.guard = true});
  const auto slow = model_on(exact), quick = model_on(fast);
  PixelBatch batch(config(), 3, 1, 2);
  const auto gradients = [&](Model& model) {
    model.store().allocate_grads();
    crate::Run run(model.device(), training);
    const Tensor loss = loss_of(model, run, batch);
    run.backward(loss);
    return numbers_of(loss);
  };
  constexpr double tolerance = 2e-5;  // float32 against float64 through two layers
  const std::vector<double> loss = gradients(*slow);
  EXPECT_LT(relative_error(gradients(*quick), loss), tolerance);
  for (const Param& p : slow->store().all()) {
    if (is_fixed(config(), p.name)) continue;
    EXPECT_LT(relative_error(numbers_of(quick->store().at(p.name).grad), numbers_of(p.grad)), tolerance) << p.name;
  }
}

TEST_P(ImageModels, RecomputationGivesTheSameGradients) {
  std::vector<std::vector<double>> kept;
  for (const bool recompute : {false, true}) {
    Device device;
    const auto model = model_on(device);
    model->set_recompute(recompute);
    model->store().allocate_grads();
    PixelBatch batch(config(), 2, 0, 4);
    crate::Run run(device, training);
    run.backward(loss_of(*model, run, batch));
    std::size_t i = 0;
    for (const Param& p : model->store().all()) {
      if (is_fixed(config(), p.name)) continue;
      if (!recompute) {
        kept.push_back(numbers_of(p.grad));
      } else {
        EXPECT_LT(relative_error(numbers_of(p.grad), kept[i++]), 2e-6) << p.name;
      }
    }
  }
}

// See Models.TrainOnBf16NearRef.
TEST_P(ImageModels, TrainOnBf16NearRef) {
  const auto gradient = [&](const DeviceOptions& options, bool recompute) {
    Device device(options);
    const auto model = model_on(device);
    model->set_recompute(recompute);
    model->store().allocate_grads();
    PixelBatch batch(config(), 3, 1, 2);
    crate::Run run(device, training);
    const Tensor loss = loss_of(*model, run, batch);
    run.backward(loss);
    std::vector<double> all = numbers_of(loss);
    for (const Param& p : model->store().all()) {
      if (is_fixed(config(), p.name)) continue;
      const std::vector<double> one = numbers_of(p.grad);
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  };
  const DeviceOptions bf16{.products = Products::bf16, .guard = true};
  const std::vector<double> came = gradient(bf16, false);
  EXPECT_LT(relative_error(came, gradient({.kind = DeviceKind::ref}, false)), 0.1);
  EXPECT_LT(relative_error(gradient(bf16, true), came), 3e-2);
}

TEST_P(ImageModels, ConfigurationSurvivesJson) {
  const std::string json = to_json(config());
  EXPECT_EQ(to_json(config_from_json(json, "here")), json);
}

// Every parameter that the authors have has a name that leads back.
TEST_P(ImageModels, NamesLeadBothWays) {
  for (const auto& [name, shape, decay] : parameter_shapes(config())) {
    const std::string official = official_name(config().family, name);
    if (official.empty()) {
      EXPECT_NE(GetParam().name.find("_options"), std::string::npos) << name;
    } else {
      EXPECT_EQ(our_name(config().family, official), name);
    }
  }
}

TEST_P(ImageModels, ExportAndImportGiveTheSameModel) {
  Device device;
  const auto model = model_on(device);
  const Folder folder;
  for (const char* kind : {"m.safetensors", "m.pth"}) {
    const std::string path = folder.at(kind);
    if (GetParam().name.ends_with("_options")) {
      EXPECT_NE(message_of([&] { export_model(*model, path); }), "no error");
      continue;
    }
    export_model(*model, path);
    OfficialModel source = read_official(path);
    for (const auto& [key, value] : official_config(config())) source.config[key] = value;
    const auto back = import_model(device, config().family, std::move(source));
    EXPECT_EQ(to_json(back->config()), to_json(model->config()));
    for (const Param& p : model->store().all())
      EXPECT_EQ(numbers_of(back->store().at(p.name).value), numbers_of(p.value)) << p.name;
  }
}

// What the encoder of an auto-encoder learned is a classifier's by name and shape.
TEST(Encoders, AreClassifiers) {
  for (const ModelCase& c : small_image_models()) {
    if (!is_autoencoder(c.config.family)) continue;
    const ModelConfig classifier = classifier_of(c.config, 5);
    classifier.validate();
    Device device;
    MaeModel encoder(device, c.config);
    VisionModel model(device, classifier);
    init_noisily(encoder, 3);
    model.init(1);
    for (Param& p : model.store().all()) {
      if (p.name.starts_with("head.")) continue;
      ASSERT_EQ(p.value.shape, encoder.store().at(p.name).value.shape) << p.name;
      std::copy_n(encoder.store().at(p.name).value.as<float>(), p.value.numel(), p.value.as<float>());
    }
    model.store().values_changed();
    PixelBatch batch(c.config, 2, 0, 1);
    crate::Run run(device);
    EXPECT_LT(relative_error(numbers_of(model.features(run, batch.images())),
                             numbers_of(encoder.features(run, batch.images()))),
              1e-6)
        << c.name;
  }
}

TEST(ImageErrors, SayWhatDoesNotFit) {
  Device device;
  ModelConfig config = small_image_models().front().config;
  VisionModel model(device, config);
  model.init(1);
  crate::Run run(device);
  EXPECT_NE(message_of([&] {
              model.logits(run, run.constant({1, 2, 8, 8}, 0));
            }).find("images must be (b, 3"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              model.logits(run, run.constant({1, 3, 9, 8}, 0));
            }).find("no whole number of patches"),
            std::string::npos);
  EXPECT_NE(message_of([&] { LanguageModel(device, config); }).find("reads images"), std::string::npos);
  EXPECT_NE(message_of([&] { MaeModel(device, config); }).find("no auto-encoder"), std::string::npos);
  config.image.classes = 0;
  VisionModel headless(device, config);
  headless.init(1);
  EXPECT_NE(message_of([&] {
              headless.logits(run, run.constant({1, 3, 8, 8}, 0));
            }).find("image.classes is 0"),
            std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(All, ImageModels, testing::ValuesIn(small_image_models()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace crate
