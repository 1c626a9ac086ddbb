// Tuning with the rounding in the loop: at few bits the rounded model gets better, and the integers are those of
// quantize().
#include "work/compress/tune.h"

#include <gtest/gtest.h>

#include "testing/models.h"
#include "work/compress/integer_model.h"

namespace crate {
namespace {

std::string text(std::size_t n) {
  std::string out;
  for (int i = 0; out.size() < n; ++i) out += "line " + std::to_string(i * i) + " of a text\n";
  return out.substr(0, n);
}

ModelConfig small() {
  ModelConfig c;
  c.family = Family::crate_lm;
  c.dim = 32;
  c.heads = 2;
  c.layers = 2;
  c.context = 32;
  c.vocab = 257;
  return c;
}

TEST(Tune, FewBitsLoseLessOnceTheyAreLearnedWith) {
  Device device;
  LanguageModel model(device, small());
  model.init(1);
  const std::string learned = text(6000);
  // Some training, of weights that 8 bits hardly round, then 3 bits.
  quantize_tuned(model, 8, learned, {.steps = 120, .batch = 8, .rate = 1e-2});
  std::vector<double> losses;
  const QuantizedModel before = quantize(model, 3);
  const QuantizedModel after = quantize_tuned(
      model, 3, learned,
      {.steps = 80, .batch = 8, .rate = 3e-3, .progress = [&](int64_t, double loss) { losses.push_back(loss); }});
  ASSERT_EQ(losses.size(), 80u);
  double last = 0;
  for (std::size_t i = 70; i < 80; ++i) last += losses[i] / 10;
  EXPECT_LT(last, losses[0] - 0.05);
  EXPECT_EQ(after.bits, 3);
  const QuantizedMatrix &old = before.matrix("embed.tokens"), &now = after.matrix("embed.tokens");
  EXPECT_NE(old.values, now.values);
  for (const int8_t v : now.values) ASSERT_LE(std::abs(v), 3);
  EXPECT_EQ(quantize(model, 3).matrix("embed.tokens").values, now.values);
}

TEST(Tune, AskingForTheImpossibleIsAnError) {
  Device device;
  LanguageModel model(device, small());
  model.init(1);
  EXPECT_THROW(quantize_tuned(model, 4, "short", {}), Error);
}

}  // namespace
}  // namespace crate
