// The integer forward against the float one, and against itself: instruction sets, batches, windows.
#include "work/compress/integer_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "testing/models.h"
#include "work/compress/fixed.h"

namespace crate {
namespace {

constexpr int64_t rows = 16;

// A byte model of every family and option, with weights that make it say something.
std::vector<ModelCase> byte_models() {
  std::vector<ModelCase> cases = small_models();
  const auto options = std::find_if(cases.begin(), cases.end(), [](const ModelCase& c) { return c.config.direction; });
  ModelCase wide_heads = *options;
  wide_heads.name = "wide_heads";
  wide_heads.config.head_width = 8;
  cases.push_back(wide_heads);
  for (ModelCase& c : cases) {
    c.config.vocab = 257;
    c.config.context = 20;
  }
  return cases;
}

std::vector<int32_t> tokens() {
  std::vector<int32_t> t{256};
  for (int i = 1; i < rows; ++i) t.push_back("to be or not to be"[i]);
  return t;
}

std::vector<double> float_logits(LanguageModel& model, Device& device) {
  std::vector<int32_t> t = tokens();
  Run run(device);
  const Tensor y = model.logits(run, {t.data(), {1, rows}, Dtype::i32});
  std::vector<double> out;
  for (int64_t i = 0; i < y.numel(); ++i) out.push_back(static_cast<double>(y.as<float>()[i]));
  return out;
}

std::vector<int32_t> integer_logits(const IntegerModel& model, const IntegerKernels& kernels, int64_t at_once) {
  std::vector<int32_t> logits(static_cast<std::size_t>(rows * model.vocab()));
  IntegerState state = model.open();
  std::vector<IntegerModel::Row> all;
  for (const int32_t t : tokens()) all.push_back({&state, t});
  for (int64_t i = 0; i < rows; i += at_once)
    model.forward(kernels, std::span(all).subspan(static_cast<std::size_t>(i), static_cast<std::size_t>(at_once)),
                  logits.data() + i * model.vocab());
  return logits;
}

std::vector<std::string> sets_of_this_machine() {
  std::vector<std::string> names;
  for (const char* name : {"baseline", "avx2", "vnni"}) {
    try {
      integer_kernels(name);
      names.emplace_back(name);
    } catch (const Error&) {  // not here
    }
  }
  return names;
}

class IntegerForward : public testing::TestWithParam<ModelCase> {};

TEST_P(IntegerForward, FollowsTheFloatModel) {
  Device device;
  LanguageModel model(device, GetParam().config);
  init_noisily(model, 5);
  const std::vector<double> wanted = float_logits(model, device);
  const auto got = integer_logits(IntegerModel(quantize(model, 8)), integer_kernels(), rows);
  double error = 0, size = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double logit = got[i] / 65536.0 * std::log(2.0);
    error += (logit - wanted[i]) * (logit - wanted[i]);
    size += wanted[i] * wanted[i];
  }
  EXPECT_LT(std::sqrt(error / size), 0.05);  // 8 bits of weights and activations
}

TEST_P(IntegerForward, IsTheSameOnEveryInstructionSetAndForEveryNumberOfRows) {
  Device device;
  LanguageModel model(device, GetParam().config);
  init_noisily(model, 6);
  const IntegerModel integer(quantize(model, 8));
  const auto wanted = integer_logits(integer, integer_kernels("baseline"), rows);
  for (const std::string& name : sets_of_this_machine())
    for (const int64_t at_once : {int64_t{1}, int64_t{2}, rows})
      EXPECT_EQ(integer_logits(integer, integer_kernels(name), at_once), wanted) << name << ", " << at_once << " rows";
}

INSTANTIATE_TEST_SUITE_P(EveryFamily, IntegerForward, testing::ValuesIn(byte_models()), [](const auto& info) {
  std::string name = info.param.name;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
});

// The query takes the factor of the scores: whatever it is, either it is refused or no number leaves its range.
TEST(IntegerForwardScores, TemperaturesFarFromOne) {
  const auto cases = byte_models();
  const auto with = std::find_if(cases.begin(), cases.end(), [](const ModelCase& c) { return c.config.direction; });
  ASSERT_NE(with, cases.end());
  Device device;
  LanguageModel model(device, with->config);
  init_noisily(model, 7);
  int taken = 0;
  for (const float temperature : {0.0F, 1e-30F, 1e-6F, -1e-2F, 0.1F, 30.0F, -300.0F, 3e3F, 3e4F, 1e6F, 1e30F}) {
    QuantizedModel quantized = quantize(model, 8);
    for (auto& [name, numbers] : quantized.vectors)
      if (name.ends_with("temperature")) std::fill(numbers.begin(), numbers.end(), temperature);
    try {
      const IntegerModel integer(quantized);
      ++taken;
      const auto wanted = integer_logits(integer, integer_kernels("baseline"), rows);
      for (const std::string& name : sets_of_this_machine())
        EXPECT_EQ(integer_logits(integer, integer_kernels(name), 1), wanted) << name << ", " << temperature;
    } catch (const Error&) {  // refused
    }
  }
  EXPECT_GE(taken, 5);
}

TEST(IntegerForwardErrors, AModelOfOtherTokensIsRefused) {
  Device device;
  ModelConfig config;
  config.vocab = 100;
  LanguageModel model(device, config);
  model.init(1);
  EXPECT_THROW(IntegerModel(quantize(model, 8)), Error);
  EXPECT_THROW(quantize(model, 9), Error);
}

TEST(Fixed, FollowsTheStandardLibrary) {
  for (const uint64_t x : {0UL, 1UL, 2UL, 15UL, 16UL, 17UL, 999999UL, ~0UL})
    EXPECT_EQ(fixed::isqrt(x), static_cast<uint64_t>(std::sqrt(static_cast<long double>(x)))) << x;
  for (int64_t x = 0; x < 20 * 65536; x += 777)
    EXPECT_NEAR(fixed::exp2_minus(x) / 1073741824.0, std::exp2(-x / 65536.0), 2e-6) << x;
  for (int64_t x = -600000; x < 600000; x += 777)
    EXPECT_NEAR(fixed::normal_cdf(x) / 65536.0, 0.5 * std::erfc(-x / 65536.0 / std::sqrt(2.0)), 1.6e-5) << x;
  for (double x = 0.01; x < 300; x *= 1.1) {
    EXPECT_NEAR(fixed::exp_of(-x), std::exp(-x), 1e-14);
    EXPECT_NEAR(fixed::log_of(x), std::log(x), 1e-13);
    EXPECT_NEAR(fixed::sin_of(x), std::sin(x), 1e-12);
    EXPECT_NEAR(fixed::cos_of(x), std::cos(x), 1e-12);
  }
}

}  // namespace
}  // namespace crate
