#include "work/report/bootstrap.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace crate {
namespace {

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

struct Term {
  const Samples* samples;
  double sign;
};

// Mean of one draw: `pick` says which seed stands at a place, items are drawn at (stream address, item).
class Draw {
 public:
  Draw(const std::vector<Term>& terms, uint64_t number) : terms_(terms), number_(number) {
    const std::size_t seeds = terms[0].samples->seeds.size();
    together_ =
        std::all_of(terms.begin(), terms.end(), [&](const Term& t) { return t.samples->seeds.size() == seeds; });
  }

  double value() const {
    double sum = 0;
    for (std::size_t t = 0; t < terms_.size(); ++t) sum += terms_[t].sign * mean(t);
    return sum;
  }

 private:
  double mean(std::size_t t) const {
    const auto& seeds = terms_[t].samples->seeds;
    double sum = 0;
    for (std::size_t place = 0; place < seeds.size(); ++place) {
      const uint64_t who = together_ ? place : place + 1000 * (t + 1);
      const auto& items = seeds[rng_.below(seeds.size(), 2 * number_, who)];
      double seed_sum = 0;
      const uint64_t from = (t * 64 + place) << 32;
      for (std::size_t i = 0; i < items.size(); ++i)
        seed_sum += items[rng_.below(items.size(), 2 * number_ + 1, from + i)];
      sum += seed_sum / static_cast<double>(items.size());
    }
    return sum / static_cast<double>(seeds.size());
  }

  const std::vector<Term>& terms_;
  uint64_t number_;
  bool together_;
  Rng rng_{1979, Stream::sample};
};

Interval interval_of(const std::vector<Term>& terms) {
  Interval out;
  for (const Term& t : terms) {
    require(!t.samples->seeds.empty(), "[bootstrap] expected at least one seed");
    for (const auto& items : t.samples->seeds) require(!items.empty(), "[bootstrap] a seed has no items");
    out.mean += t.sign * t.samples->mean();
  }
  for (const auto& items : terms[0].samples->seeds) out.items += static_cast<int64_t>(items.size());
  out.seeds = static_cast<int>(terms[0].samples->seeds.size());
  std::vector<double> draws(bootstrap_draws);
  for (std::size_t i = 0; i < draws.size(); ++i) draws[i] = Draw(terms, i).value();
  std::sort(draws.begin(), draws.end());
  out.low = draws[static_cast<std::size_t>(0.025 * bootstrap_draws)];
  out.high = draws[static_cast<std::size_t>(0.975 * bootstrap_draws) - 1];
  return out;
}

}  // namespace

bool Samples::empty() const {
  return std::all_of(seeds.begin(), seeds.end(), [](const auto& items) { return items.empty(); });
}

std::vector<double> Samples::seed_means() const {
  std::vector<double> out;
  for (const auto& items : seeds) out.push_back(mean_of(items));
  return out;
}

double Samples::mean() const { return mean_of(seed_means()); }

Interval bootstrap(const Samples& samples) { return interval_of({{&samples, 1}}); }

Interval bootstrap_difference(const Samples& a, const Samples& b) { return interval_of({{&a, 1}, {&b, -1}}); }

Interval bootstrap_excess(const Samples& a, const Samples& b, const Samples& c, const Samples& d) {
  return interval_of({{&a, 1}, {&b, -1}, {&c, -1}, {&d, 1}});
}

}  // namespace crate
