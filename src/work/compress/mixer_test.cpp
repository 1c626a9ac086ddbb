// Mixing: what was put comes out, the parts are worth what they should be.
#include "work/compress/mixer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <string>

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

TEST(Logistic, SquashUndoesStretch) {
  for (int32_t p = 1; p < 65536; p += p < 2000 ? 1 : 97) {
    const double exact = 256 * std::log(p / (65536.0 - p));
    EXPECT_NEAR(logistic::stretch(p), exact, p < 2048 || p > 65536 - 2048 ? 0.6 : 2) << p;
    EXPECT_NEAR(logistic::squash(logistic::stretch(p)), p, 1 + 0.012 * std::min(p, 65536 - p)) << p;
  }
}

}  // namespace
}  // namespace crate
