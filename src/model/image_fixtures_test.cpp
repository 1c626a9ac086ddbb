// Values of the authors' own code for images: logits, losses, every gradient, every inner value, attention maps.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "model/import.h"
#include "model/names.h"
#include "testing/reference.h"

namespace crate {
namespace {

const std::string folder = CRATE_SOURCE_DIR "/../shared/fixtures/";

struct Subject {
  const char* name;
  Family family;
  DeviceKind device;
};

std::string title(const testing::TestParamInfo<Subject>& info) {
  return std::string(info.param.name) + "_" + name_of(info.param.device);
}

Shape shape_of(const Array& a) {
  return a.shape.size() == 4 ? Shape{a.shape[0], a.shape[1], a.shape[2], a.shape[3]} : Shape{a.shape[0], a.shape[1]};
}

class ImageFixtures : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    const std::string path = folder + GetParam().name + ".safetensors";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
    file = read_safetensors(path);
    model = as_vision_model(import_model(device, GetParam().family, read_official(path)), path);
    images = at("in/images").to_f32();
  }

  const Array& at(const std::string& name) const { return file.tensors.at(name); }
  Tensor batch() { return {images.data(), shape_of(at("in/images")), Dtype::f32}; }
  std::vector<float> targets(double smoothing) const {
    const auto classes = static_cast<std::size_t>(model->config().image.classes);
    const std::vector<int64_t> labels = at("in/labels").to_i64();
    std::vector<float> out(labels.size() * classes, static_cast<float>(smoothing / static_cast<double>(classes)));
    for (std::size_t i = 0; i < labels.size(); ++i)
      out[i * classes + static_cast<std::size_t>(labels[i])] += static_cast<float>(1 - smoothing);
    return out;
  }
  Tensor soft(std::vector<float>& t) const {
    return {t.data(), {at("in/labels").shape[0], model->config().image.classes}, Dtype::f32};
  }
  void expect_near(const std::vector<double>& got, const std::string& name) const {
    EXPECT_LT(relative_error(got, at(name).to_f64()), tolerance) << name;
  }

  // float64: rounding only. float32: 24-bit rounding through a few layers.
  const double tolerance = GetParam().device == DeviceKind::ref ? 1e-12 : 1e-5;
  Device device{{.kind = GetParam().device, .guard = true}};
  SafetensorsFile file;
  std::unique_ptr<VisionModel> model;
  std::vector<float> images;
};

// Names of inner values in the reference files and the sites that offer them.
std::string site_of(const std::string& act, bool white) {
  const std::map<std::string, std::string> outside = {{"embed", "embed.out"},    {"patch_embed", "embed.patches"},
                                                      {"pooled", "head.pooled"}, {"norm", "head.in"},
                                                      {"head_in", "head.in"},    {"conv", ""}};
  if (outside.contains(act)) return outside.at(act);
  const std::string half = white ? "mssa." : "mha.";
  const std::map<std::string, std::string> inside = {{"in", "z_pre"},
                                                     {"ln1", "norm1.out"},
                                                     {"w", half + "coords"},
                                                     {"qkv", half + "coords"},
                                                     {"attn_probs", half + "pattern"},
                                                     {"attn_heads", half + "heads"},
                                                     {"attn", half + "out"},
                                                     {"mid", "z_mid"},
                                                     {"ln2", "norm2.out"},
                                                     {"code0", "ista.code0"},
                                                     {"code", "ista.code"},
                                                     {"ista", "ista.out"},
                                                     {"hidden", "mlp.hidden"},
                                                     {"mlp", "mlp.out"},
                                                     {"out", "z_post"}};
  const std::size_t slash = act.find('/');
  return "blocks." + act.substr(0, slash) + "." + inside.at(act.substr(slash + 1));
}

TEST_P(ImageFixtures, LogitsAndInnerValues) {
  RecordingTap tap;
  crate::Run run(device, {.tap = &tap});
  expect_near(numbers_of(model->logits(run, batch())), "out/logits");
  std::size_t compared = 0;
  for (const auto& [name, expected] : file.tensors) {
    if (!name.starts_with("act/")) continue;
    const std::string site = site_of(name.substr(4), is_white_box(GetParam().family));
    if (site.empty()) continue;
    ASSERT_TRUE(tap.values.contains(site)) << site;
    expect_near(tap.values.at(site), name);
    ++compared;
  }
  EXPECT_GE(compared, 20U);
}

TEST_P(ImageFixtures, LossAndGradients) {
  model->store().allocate_grads();
  RecordingTap tap;
  crate::Run run(device, {.record = true, .tap = &tap});
  tap.follow(run);
  std::vector<float> hard = targets(0);
  const Tensor input = run.make(shape_of(at("in/images")));
  run.keep_grad(input);
  const std::vector<float> pixels = at("in/images").to_f32();
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (device.kind() == DeviceKind::ref)
      input.as<double>()[i] = pixels[i];
    else
      input.as<float>()[i] = pixels[i];
  }
  const ClassLoss loss = model->loss(run, input, soft(hard));
  expect_near(numbers_of(loss.loss), "out/loss");
  run.backward(loss.loss);
  for (const Param& p : model->store().all()) {
    ASSERT_TRUE(p.has_grad) << p.name;
    std::vector<double> expected = at("grad/" + official_name(GetParam().family, p.name)).to_f64();
    if (layout_of(GetParam().family, p.name) == Layout::transposed) {
      const auto m = static_cast<std::size_t>(p.value.rows()), d = static_cast<std::size_t>(p.value.cols());
      const std::vector<double> theirs = expected;
      for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < d; ++j) expected[i * d + j] = theirs[j * m + i];
    }
    EXPECT_LT(relative_error(numbers_of(p.grad), expected), tolerance) << p.name;
  }
  expect_near(numbers_of(run.grad_of(input)), "grad_in/images");
  std::size_t inner = 0;
  for (const auto& [name, expected] : file.tensors) {
    if (!name.starts_with("grad_act/")) continue;
    const auto it = tap.tensors.find(site_of(name.substr(9), is_white_box(GetParam().family)));
    if (it == tap.tensors.end() || !run.grad_of(it->second)) continue;  // inside an operator no gradient is kept
    expect_near(numbers_of(run.grad_of(it->second)), name);
    ++inner;
  }
  EXPECT_GE(inner, 10U);
}

TEST_P(ImageFixtures, SmoothedTargets) {
  if (!file.tensors.contains("out/loss_label_smoothing_0.1")) GTEST_SKIP() << "no smoothed loss in this file";
  std::vector<float> smooth = targets(0.1);
  crate::Run run(device);
  // The targets are rounded to float here, the reference's are not.
  EXPECT_LT(relative_error(numbers_of(model->loss(run, batch(), soft(smooth)).loss),
                           at("out/loss_label_smoothing_0.1").to_f64()),
            1e-6);
}

TEST_P(ImageFixtures, GradientsWithRecomputation) {
  model->store().allocate_grads();
  std::vector<float> hard = targets(0);
  std::vector<std::vector<double>> kept;
  for (const bool again : {false, true}) {
    model->set_recompute(again);
    model->store().forget_grads();
    crate::Run run(device, {.record = true});
    run.backward(model->loss(run, batch(), soft(hard)).loss);
    std::size_t i = 0;
    for (const Param& p : model->store().all()) {
      if (!again)
        kept.push_back(numbers_of(p.grad));
      else
        EXPECT_EQ(numbers_of(p.grad), kept[i++]) << p.name;
    }
  }
}

TEST(AttentionMaps, AreThoseOfTheAuthors) {
  const std::string path = folder + "attention_maps_s.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const SafetensorsFile file = read_safetensors(path);
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
    const double tolerance = kind == DeviceKind::ref ? 1e-12 : 1e-5;
    Device device({.kind = kind});
    const auto model = as_vision_model(import_model(device, Family::crate, read_official(path)), path);
    std::vector<float> pixels = file.tensors.at("in/images").to_f32();
    RecordingTap tap;
    crate::Run run(device, {.tap = &tap});
    const Tensor images{pixels.data(), shape_of(file.tensors.at("in/images")), Dtype::f32};
    EXPECT_LT(relative_error(numbers_of(model->logits(run, images)), file.tensors.at("out/logits").to_f64()),
              tolerance);
    for (int layer = 0; layer < 3; ++layer) {
      const std::string at = std::to_string(layer);
      EXPECT_LT(relative_error(tap.values.at("blocks." + at + ".mssa.pattern"), file.tensors.at("attn/" + at).to_f64()),
                tolerance)
          << layer;
    }
  }
}

// The authors' checkpoints as PyTorch writes them, old and new, whole and in half precision; heads are not in the file.
TEST(VisionCheckpoints, GiveTheValuesOfTheFixture) {
  const std::string checkpoints = folder + "checkpoints/";
  if (!std::filesystem::exists(checkpoints)) GTEST_SKIP() << "no " << checkpoints;
  Device device;
  for (const auto& [file, expected] : {std::pair{"crate_vision_zip.pth.tar", "../crate_vision_s"},
                                       std::pair{"crate_vision_legacy.pth.tar", "../crate_vision_s"},
                                       std::pair{"crate_vision_torch2_entries.pth", "../crate_vision_s"},
                                       std::pair{"crate_vision_half.pth", "crate_vision_half.expected"},
                                       std::pair{"crate_vision_half_legacy.pth", "crate_vision_half.expected"},
                                       std::pair{"crate_vision_bfloat16.pth", "crate_vision_bfloat16.expected"}}) {
    OfficialModel source = read_official(checkpoints + file);
    source.config["heads"] = "4";
    const auto model = import_model(device, Family::crate, std::move(source));
    EXPECT_EQ(model->config().image.height, 24) << file;
    const SafetensorsFile values = read_safetensors(checkpoints + expected + ".safetensors");
    for (const Param& p : model->store().all()) {
      const std::string name = "param/" + official_name(Family::crate, p.name);
      EXPECT_EQ(numbers_of(p.value), values.tensors.at(name).to_f64()) << file << " " << name;
    }
  }
}

constexpr DeviceKind ref = DeviceKind::ref, cpu = DeviceKind::cpu;
INSTANTIATE_TEST_SUITE_P(All, ImageFixtures,
                         testing::Values(Subject{"crate_vision_s", Family::crate, ref},
                                         Subject{"crate_vision_s", Family::crate, cpu},
                                         Subject{"crate_alpha_s", Family::crate_alpha, ref},
                                         Subject{"crate_alpha_s", Family::crate_alpha, cpu},
                                         Subject{"vit_s", Family::vit, ref}, Subject{"vit_s", Family::vit, cpu}),
                         title);

}  // namespace
}  // namespace crate
