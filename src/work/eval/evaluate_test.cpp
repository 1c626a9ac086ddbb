// Evaluation: every token is a target once, windows as documented, bytes counted by the tokenizer, codes counted.
#include "work/eval/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "work/eval/sparsity.h"

namespace crate {
namespace {

ModelConfig small_config() {
  ModelConfig c;
  c.dim = 16;
  c.heads = 2;
  c.layers = 2;
  c.context = 8;
  return c;
}

Tokens random_text(int64_t n) {
  std::vector<uint16_t> tokens(static_cast<std::size_t>(n));
  const Rng rng(3, Stream::test);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<uint16_t>(rng.below(257, 0, i));
  return Tokens::from_memory(tokens, "text");
}

// Nats of target `i` predicted from inputs begin .. i - 1, one sequence at a time.
double nats(LanguageModel& model, const Tokens& text, int64_t begin, int64_t i) {
  const int64_t n = i - begin;
  std::vector<int32_t> in(static_cast<std::size_t>(n)), out(in.size(), -1);
  text.copy(begin, n, in.data());
  text.copy(i, 1, &out.back());
  Run run(model.device());
  const CrossEntropy ce = model.loss(run, {in.data(), {1, n}, Dtype::i32}, {out.data(), {1, n}, Dtype::i32});
  return ce.loss.as<double>()[0];
}

class Evaluation : public testing::Test {
 protected:
  Device device{{.kind = DeviceKind::ref}};
  LanguageModel model{device, small_config()};
  std::unique_ptr<Tokenizer> bytes = byte_tokenizer();
  void SetUp() override { model.init(1); }
};

TEST_F(Evaluation, DisjointBlocksByDefault) {
  const Tokens text = random_text(21);  // blocks of 8, 8 and 4 targets
  double sum = 0;
  for (int64_t i = 1; i < 21; ++i) sum += nats(model, text, (i - 1) / 8 * 8, i);
  const EvalResult r = evaluate(model, *bytes, text, {.batch = 2});
  EXPECT_EQ(r.tokens, 20);
  // The short last block ends with the text and begins as early as the context allows.
  double tail = 0;
  for (int64_t i = 17; i < 21; ++i) tail += nats(model, text, 12, i) - nats(model, text, 16, i);
  EXPECT_NEAR(r.loss, (sum + tail) / 20, 1e-12);
  EXPECT_NEAR(r.perplexity, std::exp(r.loss), 1e-9);
}

TEST_F(Evaluation, SlidingWindowsCountEachTokenOnce) {
  const Tokens text = random_text(22);
  const EvalResult r = evaluate(model, *bytes, text, {.stride = 3, .batch = 4});
  double sum = 0;
  for (int64_t i = 1; i < 22; ++i) {
    const int64_t end = i <= 8 ? 8 : std::min<int64_t>(21, 8 + (i - 8 + 2) / 3 * 3);  // last target of its window
    sum += nats(model, text, std::max<int64_t>(0, end - 8), i);
  }
  EXPECT_EQ(r.tokens, 21);
  EXPECT_NEAR(r.loss, sum / 21, 1e-12);
}

TEST_F(Evaluation, BitsPerByteCountsBytesNotSeparators) {
  const Tokens text = Tokens::from_memory({256, 'a', 'b', 256, 'c'}, "text");
  const EvalResult r = evaluate(model, *bytes, text);
  EXPECT_EQ(r.tokens, 4);
  EXPECT_EQ(r.bytes, 3);
  EXPECT_NEAR(r.bits_per_byte, r.loss * 4 / std::log(2.0) / 3, 1e-12);
}

TEST_F(Evaluation, OptionsAndErrors) {
  EXPECT_EQ(evaluate(model, *bytes, random_text(50), {.max_tokens = 11}).tokens, 10);
  EXPECT_EQ(evaluate(model, *bytes, random_text(20)).code_nonzero.size(), 2u);
  EXPECT_TRUE(evaluate(model, *bytes, random_text(20), {.sparsity = false}).code_nonzero.empty());
  EXPECT_THROW(evaluate(model, *bytes, random_text(0)), Error);
  EXPECT_THROW(evaluate(model, *bytes, random_text(20), {.stride = 9}), Error);
  ModelConfig few = small_config();
  few.vocab = 100;
  LanguageModel other(device, few);
  EXPECT_THROW(evaluate(other, *bytes, random_text(20)), Error);
}

TEST(Sparsity, CountsALayerAtATime) {
  SparsityTap tap(2);
  EXPECT_TRUE(tap.wants("blocks.0.ista.code"));
  EXPECT_TRUE(tap.wants("blocks.1.mlp.hidden"));
  EXPECT_FALSE(tap.wants("blocks.0.ista.code0"));
  EXPECT_EQ(tap.mean(), 0);
  std::vector<float> half = {0, 1, 0, -2}, full = {1, 1};
  tap.see("blocks.0.ista.code", {half.data(), {4}, Dtype::f32});
  tap.see("blocks.1.ista.code", {full.data(), {2}, Dtype::f32});
  EXPECT_EQ(tap.fractions(), (std::vector<double>{0.5, 1.0}));
  EXPECT_DOUBLE_EQ(tap.mean(), 0.75);
}

}  // namespace
}  // namespace crate
