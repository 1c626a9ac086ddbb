// Intervals hold the truth about as often as they say, and say what they are of.
#include "work/report/bootstrap.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"

namespace crate {
namespace {

Samples normal_samples(int seeds, int items, double mean, uint64_t salt, double between = 0) {
  const Rng rng(salt, Stream::test);
  Samples out;
  for (int s = 0; s < seeds; ++s) {
    std::vector<double> values;
    const double shift = between * rng.normal(999, static_cast<uint64_t>(s));
    for (int i = 0; i < items; ++i)
      values.push_back(mean + shift + rng.normal(static_cast<uint64_t>(s), static_cast<uint64_t>(i)));
    out.seeds.push_back(values);
  }
  return out;
}

TEST(Bootstrap, IntervalOfAMean) {
  const Samples s = normal_samples(1, 400, 2, 1);
  const Interval i = bootstrap(s);
  EXPECT_DOUBLE_EQ(i.mean, s.mean());
  EXPECT_EQ(i.items, 400);
  EXPECT_EQ(i.seeds, 1);
  EXPECT_NEAR(i.high - i.low, 2 * 1.96 / 20, 0.02);  // 2 * 1.96 sd / sqrt(n)
  EXPECT_TRUE(i.excludes_zero());
}

TEST(Bootstrap, HoldsTheTruthAboutAsOftenAsItSays) {
  int held = 0;
  for (uint64_t salt = 0; salt < 60; ++salt) {
    const Interval i = bootstrap(normal_samples(1, 60, 1, salt));
    held += i.low <= 1 && 1 <= i.high ? 1 : 0;
  }
  EXPECT_GE(held, 52);  // of 60; 57 expected
}

TEST(Bootstrap, SeedsThatDisagreeWidenIt) {
  const Interval agree = bootstrap(normal_samples(4, 200, 0, 3)), apart = bootstrap(normal_samples(4, 200, 0, 3, 1.0));
  EXPECT_GT(apart.high - apart.low, 3 * (agree.high - agree.low));
}

TEST(Bootstrap, DifferencesAndExcess) {
  const Samples a = normal_samples(3, 300, 3, 1), b = normal_samples(3, 300, 1, 2), c = normal_samples(3, 300, 2, 3);
  const Interval d = bootstrap_difference(a, b);
  EXPECT_NEAR(d.mean, a.mean() - b.mean(), 1e-12);
  EXPECT_LT(d.low, d.mean);
  EXPECT_GT(d.high, d.mean);
  EXPECT_TRUE(d.excludes_zero());
  const Interval e = bootstrap_excess(a, b, c, b);  // (3 - 1) - (2 - 1)
  EXPECT_NEAR(e.mean, a.mean() - c.mean(), 1e-12);
  EXPECT_TRUE(e.excludes_zero());
  EXPECT_FALSE(bootstrap_difference(b, normal_samples(3, 300, 1, 9)).excludes_zero());
}

TEST(Bootstrap, IsTheSameTwiceAndRefusesNothing) {
  const Samples s = normal_samples(2, 20, 0, 5);
  EXPECT_EQ(bootstrap(s).low, bootstrap(s).low);
  EXPECT_THROW(bootstrap(Samples{}), Error);
  EXPECT_THROW(bootstrap(Samples{{{1.0}, {}}}), Error);
  EXPECT_TRUE((Samples{{{}, {}}}).empty());
}

}  // namespace
}  // namespace crate
