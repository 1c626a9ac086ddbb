// What crate mdl counts with: the area of a training log, orders, samples, and programs that are run.
#include "work/mdl/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "testing/folder.h"
#include "work/mdl/orders.h"
#include "work/mdl/program.h"

namespace crate {
namespace {

TEST(LengthText, ALogIsAPassAndAnArea) {
  // From log2 257 at nothing to 2 bits at 100 bytes, and 2 bits from there on.
  std::string log;
  for (int t = 100; t <= 1000; t += 100)
    log += "{\"tokens\":" + std::to_string(t) + ",\"loss\":" + std::to_string(2 * std::numbers::ln2) + "}\n";
  const double first = 100 * (std::log2(257) + 2) / 2;
  for (const int64_t bytes : {500, 1000, 4000}) {  // half of the training, all of it, and more than it
    const Curve c = curve_of(log, bytes);
    EXPECT_NEAR(c.prequential, first + 2 * static_cast<double>(bytes - 100), 1e-2) << bytes;
    EXPECT_NEAR(c.above_end, first - 200, 1e-2) << bytes;
  }
  EXPECT_EQ(curve_of("", 100).prequential, 0);
}

TEST(LengthText, OrdersLearnWhatRepeats) {
  std::string pairs;
  for (int i = 0; i < 4000; ++i) pairs += i % 2 == 0 ? "ab" : "cb";
  const double zero = adaptive_bits(pairs, 0), one = adaptive_bits(pairs, 1), two = adaptive_bits(pairs, 2);
  EXPECT_NEAR(zero / static_cast<double>(pairs.size()), 1.5, 0.05);  // a half b, a quarter each a and c
  EXPECT_NEAR(one / static_cast<double>(pairs.size()), 0.5, 0.05);   // only what follows b is open
  EXPECT_LT(two, 0.05 * static_cast<double>(pairs.size()));
  EXPECT_THROW(adaptive_bits("x", 3), Error);
}

TEST(LengthText, ASampleIsFromAllOver) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>('a' + i / 125);
  EXPECT_EQ(spread_sample(text, 8), "abcdefgh");
  EXPECT_EQ(spread_sample(text, 2000), text);
}

TEST(LengthPrograms, WhatRunsIsMeasuredAndWhatFailsIsSaid) {
  const Folder folder;
  const std::string file = folder.with("in", std::string(5000, 'x'));
  const Coder cat{"cat", "coreutils", {{"cat", "%i"}, "%o", {}}, {{"cat", "%o"}, "%b", {}}};
  const Coded same = code_file(cat, file, folder.at("work"));
  EXPECT_TRUE(same.exact);
  EXPECT_EQ(same.raw, 5000);
  EXPECT_EQ(same.archive, 5000);
  const Coder lossy{"head", "coreutils", {{"head", "-c", "10", "%i"}, "%o", {}}, {{"cat", "%o"}, "%b", {}}};
  EXPECT_FALSE(code_file(lossy, file, folder.at("work")).exact);
  const Coder broken{"false", "coreutils", {{"false"}, "%o", {}}, {{"cat", "%o"}, "%b", {}}};
  EXPECT_THROW(code_file(broken, file, folder.at("work")), Error);
  EXPECT_TRUE(is_installed("cat"));
  EXPECT_FALSE(is_installed("no-such-program-anywhere"));
  // A small program is small, however large this one is.
  const std::string large(200 << 20, 'x');
  const ProgramRun slept = run_program({{"sleep", "0.05"}, "", {}});
  EXPECT_GT(slept.memory, 1 << 18);
  EXPECT_LT(slept.memory, static_cast<int64_t>(large.size()) / 4);
  EXPECT_EQ(run_program({{"sh", "-c", "exit $CODE"}, "", {"CODE=7"}}).code, 7);
}

TEST(LengthPrograms, EveryKnownCoderThatIsHereGivesTheBytesBack) {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "line " + std::to_string(i * i) + "\n";
  const std::string file = folder.with("in", text);
  for (const Coder& coder : known_coders(static_cast<int64_t>(text.size()))) {
    if (!is_installed(coder.encode.args.front())) continue;
    const Coded c = code_file(coder, file, folder.at("work"));
    EXPECT_TRUE(c.exact) << coder.name;
    EXPECT_LT(c.archive, c.raw / 2) << coder.name;
  }
}

}  // namespace
}  // namespace crate
