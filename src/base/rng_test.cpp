#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace crate {

TEST(Rng, PhiloxKnownAnswer) {
  // Known answer of the Random123 distribution: philox4x32-10, counter 0, key 0. Stream 0 is free for this test.
  const Rng rng(0, static_cast<Stream>(0));
  const auto b = rng.block(0, 0);
  EXPECT_EQ(b[0], 0x6627e8d5u);
  EXPECT_EQ(b[1], 0xe169c58du);
  EXPECT_EQ(b[2], 0xbc57ac4cu);
  EXPECT_EQ(b[3], 0x9b00dbd8u);
}

TEST(Rng, AddressesDoNotCollide) {
  std::set<uint64_t> seen;
  for (uint64_t seed = 0; seed < 3; ++seed)
    for (auto stream : {Stream::init, Stream::data})
      for (uint64_t major = 0; major < 10; ++major)
        for (uint64_t minor = 0; minor < 100; ++minor) seen.insert(Rng(seed, stream).bits(major, minor));
  EXPECT_EQ(seen.size(), 3u * 2 * 10 * 100);
}

TEST(Rng, MomentsOfUniformAndNormal) {
  const Rng rng(7, Stream::test);
  const int n = 100000;
  double sum = 0, square = 0, uniform = 0;
  for (int i = 0; i < n; ++i) {
    const double x = rng.normal(0, static_cast<uint64_t>(i));
    sum += x;
    square += x * x;
    uniform += rng.uniform(1, static_cast<uint64_t>(i));
  }
  EXPECT_NEAR(sum / n, 0.0, 5 / std::sqrt(n));
  EXPECT_NEAR(square / n, 1.0, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(uniform / n, 0.5, 5 * std::sqrt(1.0 / 12 / n));
  for (uint64_t i = 0; i < 1000; ++i) EXPECT_LT(rng.below(7, 2, i), 7u);
}

}  // namespace crate
