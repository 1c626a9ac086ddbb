// Generation: the same tokens with and without a cache, sampling limits, streaming of whole characters, stop strings.
#include "work/generate/generate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/error.h"
#include "work/generate/stream.h"

namespace crate {
namespace {

ModelConfig small_config(Family family, bool options) {
  ModelConfig c;
  c.family = family;
  c.dim = 16;
  c.heads = 2;
  c.layers = 2;
  c.context = 12;
  c.qk_norm = c.rotary = options;
  c.shift = c.direction = c.exclusive = options && is_white_box(family);
  return c;
}

std::vector<ModelConfig> small_configs() {
  std::vector<ModelConfig> configs;
  for (const Family family : {Family::crate_gpt, Family::crate_lm, Family::gpt2, Family::gpt_relu})
    for (const bool options : {false, true}) configs.push_back(small_config(family, options));
  configs.push_back(small_config(Family::crate_lm, false));
  choose_crate_one(configs.back());
  return configs;
}

TEST(Generate, CacheChangesNothingAlsoPastTheContext) {
  for (const ModelConfig& config : small_configs()) {
    Device device;
    LanguageModel model(device, config);
    model.init(4);
    GenerateOptions how{.tokens = 40, .temperature = 1.0, .seed = 9};
    const auto run = [&] { return continue_tokens(model, {72, 101, 108}, how, 257, [](int32_t) { return true; }); };
    const auto cached = run();
    how.cache = false;
    EXPECT_EQ(run(), cached) << to_json(config);
    EXPECT_EQ(cached.size(), 40u);
    how.seed = 10;
    EXPECT_NE(run(), cached);
  }
}

TEST(Generate, PromptsLongerThanTheContextUseTheirEnd) {
  Device device({.kind = DeviceKind::ref});
  LanguageModel model(device, small_config(Family::crate_lm, false));
  model.init(4);
  std::vector<int32_t> longer;
  for (int32_t i = 0; i < 30; ++i) longer.push_back(i * 7 % 257);
  const std::vector<int32_t> end(longer.end() - 12, longer.end());
  const GenerateOptions how{.tokens = 5, .greedy = true};
  const auto all = [](int32_t) { return true; };
  EXPECT_EQ(continue_tokens(model, longer, how, 257, all), continue_tokens(model, end, how, 257, all));
  EXPECT_THROW(continue_tokens(model, {}, how, 257, all), Error);
  EXPECT_THROW(continue_tokens(model, {257}, how, 257, all), Error);
}

TEST(Generate, TextIsWhatWasEmittedAndStopsBeforeTheStopString) {
  Device device;
  LanguageModel model(device, small_config(Family::crate_lm, false));
  model.init(4);
  const auto tokenizer = byte_tokenizer();
  GenerateOptions how{.tokens = 60, .seed = 2};
  std::string emitted;
  const auto emit = [&](std::string_view text) { emitted += text; };
  const GenerateResult free = generate(model, *tokenizer, tokenizer->encode("Hello"), how, emit);
  EXPECT_EQ(free.text, emitted);
  ASSERT_GT(free.text.size(), 12u);
  how.stop = {free.text.substr(8, 2)};
  const GenerateResult cut = generate(model, *tokenizer, tokenizer->encode("Hello"), how);
  EXPECT_TRUE(cut.stopped);
  EXPECT_EQ(cut.text, free.text.substr(0, free.text.find(how.stop[0])));
}

TEST(Choose, KeepsToGreedyTopKAndTopP) {
  const std::vector<double> logits = {0.0, 2.0, 1.0, -1.0};
  EXPECT_EQ(choose(logits, {.greedy = true}, 0), 1);
  std::map<int32_t, int> k, p, free;
  constexpr int draws = 20000;
  for (int i = 0; i < draws; ++i) {
    ++k[choose(logits, {.temperature = 1, .top_k = 2, .seed = 1}, i)];
    ++p[choose(logits, {.temperature = 1, .top_p = 0.6, .seed = 1}, i)];
    ++free[choose(logits, {.temperature = 2, .seed = 1}, i)];
  }
  EXPECT_EQ(k.size(), 2u);  // tokens 1 and 2
  EXPECT_NEAR(static_cast<double>(k[1]) / draws, 1 / (1 + std::exp(-1.0)), 0.02);
  EXPECT_EQ(p.size(), 1u);  // token 1 alone has 0.64
  double total = 0;
  for (const double l : logits) total += std::exp(l / 2);
  for (int32_t t = 0; t < 4; ++t)
    EXPECT_NEAR(static_cast<double>(free[t]) / draws, std::exp(logits[static_cast<std::size_t>(t)] / 2) / total, 0.02);
}

TEST(Choose, RefusesOptionsOutOfRange) {
  const std::vector<double> logits = {0.0, 2.0};
  EXPECT_THROW(choose(logits, {.temperature = 0}, 0), Error);
  EXPECT_THROW(choose(logits, {.top_k = -1}, 0), Error);
  EXPECT_THROW(choose(logits, {.top_p = 0}, 0), Error);
  EXPECT_THROW(choose(logits, {.top_p = 1.5}, 0), Error);
}

std::vector<std::string> pieces_of(const std::string& text, std::vector<std::string> stop, bool* finished = nullptr) {
  std::vector<std::string> pieces;
  TextStream stream(std::move(stop), [&](std::string_view piece) { pieces.emplace_back(piece); });
  bool going = true;
  for (const char c : text) {
    going = stream.take(std::string_view(&c, 1));
    if (!going) break;
  }
  stream.finish();
  if (finished) *finished = going;
  return pieces;
}

TEST(Stream, EmitsWholeCharacters) {
  EXPECT_EQ(pieces_of("a\xc3\xa9z", {}), (std::vector<std::string>{"a", "\xc3\xa9", "z"}));
  EXPECT_EQ(pieces_of("\xf0\x9f\x98\x80", {}), (std::vector<std::string>{"\xf0\x9f\x98\x80"}));
  EXPECT_EQ(pieces_of("a\xf0\x9f", {}), (std::vector<std::string>{"a", "\xf0\x9f"}));  // the end flushes what is there
}

TEST(Stream, HoldsBackWhatMayBecomeAStopString) {
  bool going = true;
  EXPECT_EQ(pieces_of("ab<|x", {"<|end|>"}, &going), (std::vector<std::string>{"a", "b", "<|x"}));
  EXPECT_TRUE(going);
  EXPECT_EQ(pieces_of("ab<|end|>cd", {"<|end|>"}, &going), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(going);
  EXPECT_EQ(pieces_of("aab", {"ab"}, &going), (std::vector<std::string>{"a"}));  // the second a begins the stop string
  EXPECT_FALSE(going);
}

}  // namespace
}  // namespace crate
