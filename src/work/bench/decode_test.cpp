// What is read a step is what the model holds, and thresholds give the wanted codes.
#include "work/bench/decode.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/presets.h"

namespace crate {
namespace {

ModelConfig tiny(const char* name) {
  ModelConfig config = preset(name);
  config.context = 32;
  return config;
}

TEST(Decode, ReadsEveryWeightOfATwinOnce) {
  const ModelConfig config = tiny("gpt2-tiny");
  constexpr int64_t steps = 9;
  const DecodeSpeed s = bench_decode(config, {}, {.tokens = steps, .repeats = 2});
  const int64_t d = config.dim, weights = config.layers * 12 * d * d + config.vocab * d;
  const double cache = 0.5 * (steps + 1) * static_cast<double>(DecodeState::bytes_per_token(config, Dtype::f32));
  EXPECT_DOUBLE_EQ(s.bytes, 4.0 * static_cast<double>(weights) + cache);
  EXPECT_EQ(s.codes, 0);
  EXPECT_GT(s.step.per_second, 0);
  EXPECT_LE(s.fastest_ms, s.step.ms);
}

TEST(Decode, NarrowWeightsAreLessToReadAndSequencesShareThem) {
  const ModelConfig config = tiny("gpt2-tiny");
  const auto bytes = [&](Products products, int64_t sequences) {
    return bench_decode(config, {.products = products}, {.tokens = 1, .sequences = sequences, .repeats = 1}).bytes;
  };
  const double cache = static_cast<double>(DecodeState::bytes_per_token(config, Dtype::f32));
  const double f32 = bytes(Products::f32, 1) - cache;
  // One row of the smallest products (16384 numbers) is too little to be worth rounding.
  EXPECT_NEAR(bytes(Products::bf16, 8) - 8 * cache, f32 / 2, 1);
  EXPECT_NEAR(bytes(Products::int8, 8) - 8 * cache, f32 / 4, 1);
  EXPECT_EQ(bytes(Products::f32, 3) - 3 * cache, f32);
}

TEST(Decode, ThresholdsGiveTheWantedShareOfCodes) {
  for (const char* name : {"crate-lm-tiny", "crate-one-tiny"}) {
    for (const double share : {0.05, 0.3}) {
      const DecodeSpeed s = bench_decode(tiny(name), {}, {.tokens = 32, .codes = share, .repeats = 1});
      EXPECT_NEAR(s.codes, share, 0.1 * share) << name;
    }
  }
  EXPECT_THROW(bench_decode(tiny("gpt2-tiny"), {}, {.codes = 0.1}), Error);
}

}  // namespace
}  // namespace crate
