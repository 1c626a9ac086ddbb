// Bits of a byte: the identity, against the logits themselves, and the parts against the bracket.
#include "work/explain/paid.h"

#include <gtest/gtest.h>

#include <cmath>

#include "testing/models.h"
#include "work/explain/explain.h"

namespace crate {
namespace {

TEST(Paid, BitsSavedAreThePartsLessThePrice) {
  Device device({.kind = DeviceKind::ref});
  ModelConfig config;
  config.family = Family::crate_lm;
  config.dim = 16;
  config.heads = 2;
  config.layers = 2;
  config.context = 16;
  config.vocab = 257;
  LanguageModel model(device, config);
  model.init(3);
  const std::vector<int32_t> tokens{104, 101, 108, 108, 111};
  const LanguageSubject subject(model, tokens, 1);
  const std::vector<double> q = order0_shares("hello, hello", 257);
  constexpr uint8_t byte = 'l';
  const Walk walk(subject, {paid_target(byte, q)});
  const Payment paid = payment_of(walk, 0);

  crate::Run run(device);
  const Tensor logits = model.logits(run, {const_cast<int32_t*>(tokens.data()), {1, 5}, Dtype::i32});
  const double* last = logits.as<double>() + 4 * 257;
  double total = 0, price = 0;
  for (int c = 0; c < 257; ++c) total += std::exp(last[c]);
  for (std::size_t c = 0; c < 256; ++c) price -= q[c] * std::log2(std::exp(last[c]) / total);
  EXPECT_NEAR(paid.model, -std::log2(std::exp(last[byte]) / total), 1e-9);
  EXPECT_NEAR(paid.order0, -std::log2(q[byte]), 1e-12);
  EXPECT_NEAR(paid.price, price, 1e-9);
  EXPECT_GE(paid.price, paid.entropy);
  EXPECT_NEAR(paid.saved(), paid.apart - paid.price + paid.order0, 1e-12);
  double sum = 0;
  for (const double share : q) sum += share;
  EXPECT_NEAR(sum, 1, 1e-12);
  // Every cut gives the bracket.
  for (const Cut& cut : explain(walk, 0).cuts) EXPECT_NEAR(cut.sum() / std::log(2.0), paid.apart, 1e-9) << cut.at;
}

}  // namespace
}  // namespace crate
