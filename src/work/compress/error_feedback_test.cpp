// Rounding with error feedback: the root of the inverse, and less damage at few bits.
#include "work/compress/error_feedback.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "testing/models.h"
#include "work/compress/integer_model.h"
#include "work/compress/packed_model.h"

namespace crate {
namespace {

TEST(ErrorFeedback, TheRootIsThatOfTheInverse) {
  constexpr int64_t n = 6;
  const Rng rng(1, Stream::test);
  std::vector<double> x(n * n), h(n * n);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = rng.normal(1, i);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t k = 0; k < n; ++k) h[i * n + j] += x[k * n + i] * x[k * n + j] + (i == j ? 0.1 : 0);
  const std::vector<double> u = inverse_root(h, n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      if (j < i) {
        EXPECT_EQ(u[i * n + j], 0);
      }
      double identity = 0;  // (H U'U)_ij
      for (int64_t k = 0; k < n; ++k)
        for (int64_t l = 0; l < n; ++l) identity += h[i * n + k] * u[l * n + k] * u[l * n + j];
      EXPECT_NEAR(identity, i == j ? 1 : 0, 1e-9);
    }
  }
  EXPECT_THROW(inverse_root(std::vector<double>(n * n, 0), n), Error);
}

std::string text(std::size_t n) {
  std::string out;
  for (int i = 0; out.size() < n; ++i) out += "line " + std::to_string(i * i) + " of a text\n";
  return out.substr(0, n);
}

// Distance of the integer model's logits from the float model's.
double distance(LanguageModel& model, const QuantizedModel& q) {
  const std::string read = text(4000).substr(3900, 20);
  std::vector<int32_t> tokens;
  for (const char c : read) tokens.push_back(static_cast<uint8_t>(c));
  Run run(model.device());
  const Tensor wanted = model.logits(run, {tokens.data(), {1, 20}, Dtype::i32});
  const IntegerModel integer(q);
  IntegerState state = integer.open();
  std::vector<IntegerModel::Row> rows;
  for (const int32_t t : tokens) rows.push_back({&state, t});
  std::vector<int32_t> logits(rows.size() * static_cast<std::size_t>(integer.vocab()));
  integer.forward(integer_kernels(), rows, logits.data());
  double squares = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double off = logits[i] / 65536.0 * std::log(2.0) - static_cast<double>(wanted.as<float>()[i]);
    squares += off * off;
  }
  return std::sqrt(squares / static_cast<double>(logits.size()));
}

TEST(ErrorFeedback, HurtsLessThanPlainRounding) {
  Device device;
  ModelConfig c;
  c.family = Family::crate_lm;
  c.dim = 32;
  c.heads = c.layers = 2;
  c.vocab = 257;
  c.context = 40;
  c.untied_dictionary = c.ista_residual = true;
  c.ista_steps = 1;
  LanguageModel model(device, c);
  init_noisily(model, 7);
  for (const int bits : {3, 4}) {
    const double plain = distance(model, quantize(model, bits));
    const double fed = distance(model, quantize_with_feedback(model, bits, text(3000)));
    EXPECT_LT(fed, plain) << bits;
  }
  EXPECT_THROW(quantize_with_feedback(model, 4, "short"), Error);
}

TEST(PackedModel, PaysTheEntropyOfItsNumbers) {
  Device device;
  ModelConfig c;
  c.dim = 64;
  c.heads = c.layers = 2;
  c.vocab = 257;
  LanguageModel model(device, c);
  model.init(3);
  const QuantizedModel q = quantize(model, 4);
  double bits = 0;
  for (const auto& [name, m] : q.matrices) {
    std::vector<double> count(256);
    for (const int8_t v : m.values) ++count[static_cast<uint8_t>(v)];
    for (const double k : count)
      if (k > 0) bits -= k * std::log2(k / static_cast<double>(m.values.size()));
    bits += 16 * static_cast<double>(m.rows);
  }
  for (const auto& [name, v] : q.vectors) bits += 24 * static_cast<double>(v.size());
  EXPECT_LT(8.0 * static_cast<double>(pack_model(q).size()), 1.03 * bits + 8 * 1500);
}

}  // namespace
}  // namespace crate
