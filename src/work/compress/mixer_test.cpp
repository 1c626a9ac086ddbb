// Mixing: what was put comes out, the parts are worth what they should be.
#include "work/compress/mixer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "work/compress/integer_kernels.h"
#include "work/compress/mix_contexts.h"
#include "work/compress/mix_net.h"
#include "work/compress/mix_parts.h"

namespace crate {
namespace {

// A model that knows nothing.
ByteChances flat() {
  ByteChances c{};
  for (uint32_t& w : c.weight) w = 1000;
  return c;
}

std::string text(std::size_t n) {
  std::string out;
  for (int i = 0; out.size() < n; ++i) out += "line " + std::to_string(i * i % 1013) + " of a text\n";
  return out.substr(0, n);
}

std::string coded(const std::string& bytes, int64_t streams, MixReport* report) {
  std::string code;
  BitEncoder coder(code);
  Mixer mixer(report != nullptr);
  mixer.begin(streams);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    mixer.put(coder, static_cast<int64_t>(i) % streams, flat(), static_cast<uint8_t>(bytes[i]));
  coder.finish();
  if (report) *report = mixer.report();
  return code;
}

TEST(Mixer, WhatWasPutComesOut) {
  for (const int64_t streams : {1, 3}) {
    const std::string bytes = text(5000), code = coded(bytes, streams, nullptr);
    BitDecoder decoder(code);
    Mixer mixer(false);
    mixer.begin(streams);
    std::string back;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      back.push_back(static_cast<char>(mixer.get(decoder, static_cast<int64_t>(i) % streams, flat())));
    EXPECT_EQ(back, bytes);
  }
}

TEST(Mixer, TheReportIsOfThisCodeAndChangesNothing) {
  const std::string bytes = text(8000);
  MixReport report;
  const std::string code = coded(bytes, 1, &report);
  EXPECT_EQ(code, coded(bytes, 1, nullptr));
  EXPECT_NEAR(report.all / 8, static_cast<double>(code.size()), 8);
  EXPECT_NEAR(report.model, 8.0 * static_cast<double>(bytes.size()), 1);
  EXPECT_LT(report.all, report.model / 4);
  EXPECT_GT(report.without_orders, report.all);
  EXPECT_NEAR(report.without_model, report.all, 0.02 * report.all);
}

TEST(Mixer, NoiseCostsHardlyMoreThanItIs) {
  std::string bytes;
  uint32_t x = 1;
  for (int i = 0; i < 20000; ++i) bytes.push_back(static_cast<char>((x = x * 1664525 + 1013904223) >> 24));
  EXPECT_LT(coded(bytes, 1, nullptr).size(), bytes.size() * 103 / 100);
}

// A model that often knows the byte.
ByteChances hint(const std::string& bytes, std::size_t i) {
  ByteChances c = flat();
  if (i % 3 != 0) c.weight[static_cast<uint8_t>(bytes[i])] = 1000000;
  return c;
}

TEST(Mixer, WithoutTheModelItIsAsIfTheModelKnewNothing) {
  const std::string bytes = text(4000);
  MixReport reports[2];
  for (const bool hinted : {false, true}) {
    std::string code;
    BitEncoder coder(code);
    Mixer mixer(true);
    mixer.begin(1);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      mixer.put(coder, 0, hinted ? hint(bytes, i) : flat(), static_cast<uint8_t>(bytes[i]));
    reports[hinted ? 1 : 0] = mixer.report();
  }
  // All contexts share a table, so one may lose its place to another that differs.
  EXPECT_NEAR(reports[0].without_model, reports[1].without_model, 0.005 * reports[0].without_model);
  EXPECT_LT(reports[1].all, 0.8 * reports[0].all);
}

TEST(Mixer, TheLoopsOfEveryInstructionSetAgree) {
  if (std::string_view(integer_kernels().name) == "baseline") GTEST_SKIP() << "one set only";
  constexpr int n = 80;
  std::mt19937 random(1);
  std::vector<int16_t> x(n), used[2] = {std::vector<int16_t>(n), std::vector<int16_t>(n)};
  std::vector<int32_t> w[2] = {std::vector<int32_t>(n), std::vector<int32_t>(n)};
  for (int round = 0; round < 200; ++round) {
    for (int16_t& one : x) one = static_cast<int16_t>(static_cast<int32_t>(random() % 5681) - 2840);
    const int32_t error = static_cast<int32_t>(random() % 65535) - 32767;
    mix::loops_baseline.move(x.data(), error, n, w[0].data(), used[0].data());
    mix::loops_avx2.move(x.data(), error, n, w[1].data(), used[1].data());
    ASSERT_EQ(w[0], w[1]);
    ASSERT_EQ(used[0], used[1]);
    ASSERT_EQ(mix::loops_baseline.dot(used[0].data(), x.data(), n), mix::loops_avx2.dot(used[0].data(), x.data(), n));
  }
}

TEST(Mixer, ATableThatGrowsForgetsNothing) {
  mix::Counters counters;
  // Few, and then more than the smallest table holds.
  for (uint64_t i = 0; i < 1000; ++i)
    counters.find(mix::scrambled(i + 1)).nodes[0].n = static_cast<uint8_t>(i % 100 + 100);
  for (uint64_t i = 0; i < 200000; ++i) {
    counters.find(mix::scrambled(i + 5000)).nodes[0].n = 1;
    counters.grow_if_full();
  }
  int kept = 0;
  for (uint64_t i = 0; i < 1000; ++i) kept += counters.find(mix::scrambled(i + 1)).nodes[0].n == i % 100 + 100 ? 1 : 0;
  EXPECT_GE(kept, 990);
}

TEST(Mixer, HistoriesFitAByteAndTellTheBitsApart) {
  const mix::Histories& h = mix::histories();
  std::size_t zeros = 0, ones = 0;
  for (int i = 0; i < 100; ++i) {
    zeros = h.next[zeros][0];
    ones = h.next[ones][1];
  }
  EXPECT_LT(h.chance[zeros], 2000);
  EXPECT_GT(h.chance[ones], 63000);
  EXPECT_NE(h.next[h.next[0][0]][1], h.next[h.next[0][1]][0]);
}

TEST(Logistic, SquashUndoesStretch) {
  for (int32_t p = 1; p < 65536; p += p < 2000 ? 1 : 97) {
    const double exact = 256 * std::log(p / (65536.0 - p));
    EXPECT_NEAR(logistic::stretch(p), exact, p < 2048 || p > 65536 - 2048 ? 0.6 : 2) << p;
    EXPECT_NEAR(logistic::squash(logistic::stretch(p)), p, 1 + 0.012 * std::min(p, 65536 - p)) << p;
  }
}

}  // namespace
}  // namespace crate
