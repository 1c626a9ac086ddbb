// Probes find planted columns, and chance where there is nothing.
#include "work/report/probe.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"

namespace crate {
namespace {

// Column 7 tells the label with some noise, columns 3 and 11 together do, the others nothing; column 5 is constant.
LabelledRows planted(int64_t n, uint64_t salt, bool single) {
  const Rng rng(salt, Stream::test);
  LabelledRows out{16, {}, {}};
  for (int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<uint64_t>(i);
    const bool y = rng.uniform(0, at) < 0.3;
    out.labels.push_back(y);
    for (uint64_t j = 0; j < 16; ++j) out.x.push_back(static_cast<float>(rng.normal(1 + j, at)));
    float* row = out.x.data() + i * 16;
    row[5] = 2;
    if (single) {
      row[7] = static_cast<float>(100 * (y ? 1.0 : 0.0) + 10 * rng.normal(50, at));
    } else {
      row[3] += y ? 1.5F : 0;
      row[11] += y ? 1.5F : 0;
    }
  }
  return out;
}

// Mean over the classes of the share told right.
std::vector<double> accuracies(const LabelledRows& train, const LabelledRows& test, std::span<const int64_t> ks) {
  std::vector<double> out;
  for (const auto& right : sparse_probe(train, test, ks)) {
    double sum[2] = {0, 0}, n[2] = {0, 0};
    for (std::size_t i = 0; i < right.size(); ++i) {
      sum[test.labels[i]] += right[i];
      n[test.labels[i]] += 1;
    }
    out.push_back((sum[0] / n[0] + sum[1] / n[1]) / 2);
  }
  return out;
}

TEST(Probe, PicksThePlantedColumn) {
  const LabelledRows train = planted(500, 1, true);
  EXPECT_EQ(pick_columns(train, 1), std::vector<int32_t>{7});
  const auto all = pick_columns(train, 16);
  EXPECT_EQ(all.size(), 15u);  // without the constant one
  const std::array<int64_t, 2> ks = {1, 5};
  EXPECT_GT(accuracies(train, planted(500, 2, true), ks)[0], 0.99);
}

TEST(Probe, TwoColumnsTellMoreThanOne) {
  const std::array<int64_t, 2> ks = {1, 2};
  const auto accuracy = accuracies(planted(3000, 1, false), planted(3000, 2, false), ks);
  EXPECT_NEAR(accuracy[0], 0.773, 0.03);  // Phi(1.5 / 2)
  EXPECT_NEAR(accuracy[1], 0.855, 0.03);  // Phi(1.5 sqrt(2) / 2)
}

TEST(Probe, ChanceWhereThereIsNothing) {
  LabelledRows train = planted(1000, 1, true), test = planted(1000, 2, true);
  for (LabelledRows* rows : {&train, &test}) {
    for (int64_t i = 0; i < rows->rows(); ++i) rows->x[static_cast<std::size_t>(i * 16 + 7)] = 0;
  }
  const std::array<int64_t, 1> ks = {5};
  EXPECT_NEAR(accuracies(train, test, ks)[0], 0.5, 0.05);
}

TEST(Probe, TheFitIsAtItsMinimum) {
  const LabelledRows train = planted(400, 3, false);
  const LogisticFit fit = fit_logistic(train, {3, 11});
  // The bias goes free: weighted, what is predicted too high for one class is predicted too low for the other.
  double sums[2] = {0, 0}, n[2] = {0, 0};
  for (int64_t i = 0; i < train.rows(); ++i) {
    const uint8_t y = train.labels[static_cast<std::size_t>(i)];
    sums[y] += 1 / (1 + std::exp(-fit.score(train.x.data() + i * 16))) - y;
    n[y] += 1;
  }
  EXPECT_NEAR(sums[0] / n[0] + sums[1] / n[1], 0, 1e-5);
}

TEST(Probe, RefusesOneClass) {
  LabelledRows rows = planted(20, 1, true);
  for (auto& y : rows.labels) y = 1;
  const std::array<int64_t, 1> ks = {1};
  EXPECT_THROW(sparse_probe(rows, rows, ks), Error);
}

}  // namespace
}  // namespace crate
