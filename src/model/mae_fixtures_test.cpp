// The auto-encoder of the authors' own code: predictions, losses, every gradient, every inner value, masks, pictures.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "model/import.h"
#include "model/names.h"
#include "ops/patches.h"
#include "testing/reference.h"

namespace crate {
namespace {

const std::string folder = CRATE_SOURCE_DIR "/../shared/fixtures/";

struct Subject {
  const char* name;
  DeviceKind device;
};

class MaeFixtures : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    const std::string path = folder + GetParam().name + ".safetensors";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
    file = read_safetensors(path);
    model = as_mae_model(import_model(device, Family::crate_mae, read_official(path)), path);
    images = at("in/images").to_f32();
    noise = at("in/noise").to_f32();
  }

  const Array& at(const std::string& name) const { return file.tensors.at(name); }
  Tensor tensor(std::vector<float>& numbers, const std::string& name) const {
    const std::vector<int64_t>& s = at(name).shape;
    return {numbers.data(), s.size() == 4 ? Shape{s[0], s[1], s[2], s[3]} : Shape{s[0], s[1]}, Dtype::f32};
  }
  Tensor batch() { return tensor(images, "in/images"); }
  Tensor noises() { return tensor(noise, "in/noise"); }
  void expect_near(const std::vector<double>& got, const std::string& name) const {
    EXPECT_LT(relative_error(got, at(name).to_f64()), tolerance) << name;
  }
  // A constant of the run with the pixels, whose gradient is kept.
  Tensor pixels_with_gradient(crate::Run& run) {
    const Tensor input = run.make(batch().shape);
    run.keep_grad(input);
    for (int64_t i = 0; i < input.numel(); ++i) {
      if (device.kind() == DeviceKind::ref)
        input.as<double>()[i] = images[static_cast<std::size_t>(i)];
      else
        input.as<float>()[i] = images[static_cast<std::size_t>(i)];
    }
    return input;
  }

  const double tolerance = GetParam().device == DeviceKind::ref ? 1e-12 : 1e-5;
  Device device{{.kind = GetParam().device, .guard = true}};
  SafetensorsFile file;
  std::unique_ptr<MaeModel> model;
  std::vector<float> images, noise;
};

std::string site_of(const std::string& act) {
  const std::map<std::string, std::string> outside = {{"embed", "embed.out"},
                                                      {"patch_embed", "embed.patches"},
                                                      {"latent", "encoder.out"},
                                                      {"decoder_norm", "decoder.norm.out"}};
  if (outside.contains(act)) return outside.at(act);
  const std::map<std::string, std::string> inside = {
      {"in", "z_pre"},      {"ln1", "norm1.out"}, {"w", "mssa.coords"}, {"attn_probs", "mssa.pattern"},
      {"attn", "mssa.out"}, {"mid", "z_mid"},     {"ln2", "norm2.out"}, {"code", "ista.code"},
      {"out", "z_post"}};
  const std::size_t slash = act.find('/');
  return (act.starts_with("dec") ? "decoder.blocks." : "blocks.") + act.substr(3, slash - 3) + "." +
         inside.at(act.substr(slash + 1));
}

TEST_P(MaeFixtures, PredictionsLossesAndInnerValues) {
  RecordingTap tap;
  crate::Run run(device, {.tap = &tap});
  const MaeOutput out = model->forward(run, batch(), noises());
  expect_near(numbers_of(out.pred), "out/pred");
  expect_near(numbers_of(out.loss), "out/loss");
  EXPECT_EQ(numbers_of(out.mask), at("in/mask").to_f64());
  std::size_t compared = 0;
  for (const auto& [name, expected] : file.tensors) {
    if (!name.starts_with("act/")) continue;
    const std::string site = site_of(name.substr(4));
    ASSERT_TRUE(tap.values.contains(site)) << site;
    expect_near(tap.values.at(site), name);
    ++compared;
  }
  EXPECT_GE(compared, 20U);
}

TEST_P(MaeFixtures, LossAndGradients) {
  model->store().allocate_grads();
  RecordingTap tap;
  crate::Run run(device, {.record = true, .tap = &tap});
  tap.follow(run);
  const Tensor input = pixels_with_gradient(run);
  const MaeOutput out = model->forward(run, input, noises());
  run.backward(out.loss);
  for (const Param& p : model->store().all()) {
    if (p.name == "embed.pos") {
      EXPECT_FALSE(p.has_grad) << "a formula, not trained";
      continue;
    }
    ASSERT_TRUE(p.has_grad) << p.name;
    expect_near(numbers_of(p.grad), "grad/" + official_name(Family::crate_mae, p.name));
  }
  expect_near(numbers_of(run.grad_of(input)), "grad_in/images");
  std::size_t inner = 0;
  for (const auto& [name, expected] : file.tensors) {
    if (!name.starts_with("grad_act/")) continue;
    const auto it = tap.tensors.find(site_of(name.substr(9)));
    if (it == tap.tensors.end() || !run.grad_of(it->second)) continue;  // inside an operator no gradient is kept
    expect_near(numbers_of(run.grad_of(it->second)), name);
    ++inner;
  }
  EXPECT_GE(inner, 8U);
}

// The prediction is the same whether targets are normed or not, the loss is not.
TEST_P(MaeFixtures, BothLosses) {
  for (const bool norm_pix : {false, true}) {
    ModelConfig config = model->config();
    config.image.norm_pix = norm_pix;
    MaeModel other(device, config);
    for (Param& p : other.store().all())
      std::memcpy(p.value.data, model->store().at(p.name).value.data, p.value.bytes());
    other.store().values_changed();
    crate::Run run(device);
    expect_near(numbers_of(other.forward(run, batch(), noises()).loss),
                norm_pix ? "out/loss_norm_pix" : "out/loss_plain");
  }
}

TEST_P(MaeFixtures, PicturesShowPredictionsWhereThePatchesWereMasked) {
  crate::Run run(device);
  const MaeOutput out = model->forward(run, batch(), noises());
  const ImageConfig& image = model->config().image;
  const PatchArgs cut{image.patch, image.patch_columns(), PatchOrder::row_column_channel};
  expect_near(numbers_of(unpatches(run, out.pred, image.channels, image.height, image.width, cut)),
              "out/reconstruction");
  MaeOutput everywhere = out;
  everywhere.mask = run.constant(out.mask.shape, 1);
  if (!model->config().image.norm_pix)
    expect_near(numbers_of(model->pictures(run, batch(), everywhere)), "out/reconstruction");
  everywhere.mask = run.constant(out.mask.shape, 0);
  expect_near(numbers_of(model->pictures(run, batch(), everywhere)), "in/images");
}

TEST_P(MaeFixtures, PositionsAreTheFormula) {
  const std::vector<double> theirs = at("param/decoder_pos_embed").to_f64();
  MaeModel fresh(device, model->config());
  fresh.init(1);
  // Theirs were computed in float32.
  EXPECT_LT(relative_error(numbers_of(fresh.store().at("embed.pos").value), theirs), 1e-6);
}

constexpr DeviceKind ref = DeviceKind::ref, cpu = DeviceKind::cpu;
INSTANTIATE_TEST_SUITE_P(All, MaeFixtures,
                         testing::Values(Subject{"crate_mae_s", ref}, Subject{"crate_mae_s", cpu},
                                         Subject{"crate_mae_s_normpix", ref}, Subject{"crate_mae_s_normpix", cpu}),
                         [](const auto& info) {
                           return std::string(info.param.name) + "_" + name_of(info.param.device);
                         });

}  // namespace
}  // namespace crate
