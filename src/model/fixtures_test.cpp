// Values of the authors' own code: logits, losses, every gradient, every inner value, greedy continuations, steering.
#include <gtest/gtest.h>

#include <filesystem>

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

class Fixtures : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    const std::string path = folder + GetParam().name + ".safetensors";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
    file = read_safetensors(path);
    model = as_language_model(import_model(device, GetParam().family, read_official(path)), path);
    tokens = tokens_of(at("in/tokens"));
    targets = tokens_of(at("in/targets"));
  }

  const Array& at(const std::string& name) const { return file.tensors.at(name); }
  Tensor batch(std::vector<int32_t>& numbers) const {
    const auto& shape = at("in/tokens").shape;
    return {numbers.data(), {shape[0], shape[1]}, Dtype::i32};
  }
  std::string official(const std::string& ours) const { return official_name(GetParam().family, ours); }

  void expect_near(const std::vector<double>& got, const std::string& name) const {
    const double error = relative_error(got, at(name).to_f64());
    EXPECT_LT(error, tolerance) << name;
  }

  std::vector<double> logits(Tap* tap = nullptr) {
    crate::Run run(device, {.tap = tap});
    return numbers_of(model->logits(run, batch(tokens)));
  }

  // float64: rounding only. float32: 24-bit rounding through a few layers; the authors' code itself reaches 3e-6.
  const double tolerance = GetParam().device == DeviceKind::ref ? 1e-12 : 1e-5;
  Device device{{.kind = GetParam().device, .guard = true}};
  SafetensorsFile file;
  std::unique_ptr<LanguageModel> model;
  std::vector<int32_t> tokens, targets;
};

// Names of inner values in the reference files and the sites that offer them.
std::string site_of(const std::string& act, bool white) {
  const std::map<std::string, std::string> outside = {{"embed", "embed.out"}, {"norm", "head.in"}};
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

TEST_P(Fixtures, LogitsAndInnerValues) {
  RecordingTap tap;
  expect_near(logits(&tap), "out/logits");
  std::size_t compared = 0;
  for (const auto& [name, expected] : file.tensors) {
    if (!name.starts_with("act/")) continue;
    const std::string site = site_of(name.substr(4), is_white_box(GetParam().family));
    ASSERT_TRUE(tap.values.contains(site)) << site;
    expect_near(tap.values.at(site), name);
    ++compared;
  }
  EXPECT_GE(compared, 20U);
  const std::vector<double> all = tap.values.at("head.logits"), last = at("out/logits_last").to_f64();
  const std::size_t rows = all.size() / static_cast<std::size_t>(model->config().vocab), n = rows / 2;
  for (std::size_t b = 0; b < 2; ++b) {
    const auto v = static_cast<std::ptrdiff_t>(model->config().vocab);
    const auto row = all.begin() + static_cast<std::ptrdiff_t>((b + 1) * n - 1) * v;
    const auto expected = last.begin() + static_cast<std::ptrdiff_t>(b) * v;
    EXPECT_LT(relative_error({row, row + v}, {expected, expected + v}), tolerance);
  }
}

TEST_P(Fixtures, LossAndGradients) {
  model->store().allocate_grads();
  RecordingTap tap;
  crate::Run run(device, {.record = true, .tap = &tap});
  tap.follow(run);
  const CrossEntropy loss = model->loss(run, batch(tokens), batch(targets));
  expect_near(numbers_of(loss.loss), "out/loss");
  run.backward(loss.loss);
  for (const Param& p : model->store().all()) {
    ASSERT_TRUE(p.has_grad) << p.name;
    expect_near(numbers_of(p.grad), "grad/" + official(p.name));
  }
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

TEST_P(Fixtures, GradientsWithRecomputation) {
  model->store().allocate_grads();
  model->set_recompute(true);
  crate::Run run(device, {.record = true});
  const CrossEntropy loss = model->loss(run, batch(tokens), batch(targets));
  expect_near(numbers_of(loss.loss), "out/loss");
  run.backward(loss.loss);
  for (const Param& p : model->store().all()) expect_near(numbers_of(p.grad), "grad/" + official(p.name));
}

TEST_P(Fixtures, GreedyContinuation) {
  std::vector<int32_t> text = tokens_of(at("in/prompt"));
  const std::vector<int32_t> expected = tokens_of(at("out/greedy"));
  while (text.size() < expected.size()) {
    const auto n = std::min<int64_t>(static_cast<int64_t>(text.size()), model->config().context);
    crate::Run run(device);
    const std::vector<double> all = numbers_of(model->logits(run, {text.data() + text.size() - n, {1, n}, Dtype::i32}));
    const auto last = all.end() - model->config().vocab;
    text.push_back(static_cast<int32_t>(std::max_element(last, all.end()) - last));
  }
  EXPECT_EQ(text, expected);
}

class SteeredFixtures : public Fixtures {};  // the reference steers white boxes only

TEST_P(SteeredFixtures, OneChannelSetEverywhere) {
  const std::string& notes = file.metadata.at("notes");
  const std::size_t from = notes.find("out/logits_steer_ista: channel ");
  int channel = -1, layer = -1;
  double value = 0;
  ASSERT_EQ(
      std::sscanf(notes.c_str() + from, "out/logits_steer_ista: channel %d of the sparse code of layer %d set to %lf",
                  &channel, &layer, &value),
      3);
  const std::string block = "blocks." + std::to_string(layer);
  SteeringTap code(block + ".ista.code", channel, value), coords(block + ".mssa.coords", channel, value);
  expect_near(logits(&code), "out/logits_steer_ista");
  expect_near(logits(&coords), "out/logits_steer_attn");
}

std::string title(const testing::TestParamInfo<Subject>& info) {
  return std::string(info.param.name) + "_" + name_of(info.param.device);
}

constexpr DeviceKind ref = DeviceKind::ref, cpu = DeviceKind::cpu;
const auto white =
    testing::Values(Subject{"crate_gpt_s", Family::crate_gpt, ref}, Subject{"crate_gpt_s", Family::crate_gpt, cpu},
                    Subject{"crate_lm_s", Family::crate_lm, ref}, Subject{"crate_lm_s", Family::crate_lm, cpu});
const auto twins =
    testing::Values(Subject{"gpt_relu_s", Family::gpt_relu, ref}, Subject{"gpt_relu_s", Family::gpt_relu, cpu},
                    Subject{"gpt2_s", Family::gpt2, ref}, Subject{"gpt2_s", Family::gpt2, cpu});

INSTANTIATE_TEST_SUITE_P(White, Fixtures, white, title);
INSTANTIATE_TEST_SUITE_P(Twins, Fixtures, twins, title);
INSTANTIATE_TEST_SUITE_P(White, SteeredFixtures, white, title);

}  // namespace
}  // namespace crate
