// bootstrap: means with 95 % intervals from the data themselves (Efron, 1979), in two levels: seeds are drawn with
// replacement, and within each drawn seed its items (units, prompts, tasks). The interval runs from the 2.5th to the
// 97.5th percentile of the means of the draws. The mean of more than 200 drawn items is drawn as what it is by then, a
// normal variable with their mean and variance / n. Addressed randomness: the same samples give the same interval.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace crate {

/// One measure on one model: a value an item, for each seed the model was trained with.
struct Samples {
  std::vector<std::vector<double>> seeds;
  bool empty() const;
  /// Mean over the seeds of the mean over a seed's items.
  double mean() const;
  std::vector<double> seed_means() const;
};

struct Interval {
  double mean = 0, low = 0, high = 0;
  int64_t items = 0;  // of all seeds
  int seeds = 0;
  /// Nothing is claimed of a difference whose interval holds 0.
  bool excludes_zero() const { return low > 0 || high < 0; }
};

constexpr int bootstrap_draws = 1000;
constexpr std::size_t normal_from = 200;  // items

/// Throws Error when a seed has no items.
Interval bootstrap(const Samples& samples);
/// Of mean(a) - mean(b): seeds are drawn together where both sides have as many (their k-th seeds share data and
/// order), else apart; items are drawn apart.
Interval bootstrap_difference(const Samples& a, const Samples& b);
/// Of (mean(a) - mean(b)) - (mean(c) - mean(d)): how much more a exceeds b than c exceeds d.
Interval bootstrap_excess(const Samples& a, const Samples& b, const Samples& c, const Samples& d);

}  // namespace crate
