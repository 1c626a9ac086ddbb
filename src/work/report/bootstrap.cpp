#include "work/report/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace crate {
namespace {

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// What is drawn from: a seed's items, with the mean and the standard error of their mean.
struct Items {
  const std::vector<double>* values;
  double mean, error;
};

Items items_of(const std::vector<double>& values) {
  const double mean = mean_of(values), n = static_cast<double>(values.size());
  double square = 0;
  for (const double v : values) square += (v - mean) * (v - mean);
  return {&values, mean, std::sqrt(square) / n};
}

struct Term {
  const Samples* samples;
  double sign;
  std::vector<Items> seeds = {};
};

// The values of one draw after the other; a draw's numbers are addressed by its own number.
class Draws {
 public:
  explicit Draws(const std::vector<Term>& terms) : terms_(terms) {
    const std::size_t seeds = terms[0].seeds.size();
    together_ = std::all_of(terms.begin(), terms.end(), [&](const Term& t) { return t.seeds.size() == seeds; });
  }

  double value(uint64_t number) const {
    double sum = 0;
    for (std::size_t t = 0; t < terms_.size(); ++t) sum += terms_[t].sign * mean(t, number);
    return sum;
  }

 private:
  double mean(std::size_t t, uint64_t number) const {
    const auto& seeds = terms_[t].seeds;
    double sum = 0;
    for (std::size_t place = 0; place < seeds.size(); ++place) {
      const uint64_t who = together_ ? place : place + 1000 * (t + 1);
      const Items& items = seeds[rng_.below(seeds.size(), 2 * number, who)];
      sum += item_mean(items, 2 * number + 1, (t * 64 + place) << 32);
    }
    return sum / static_cast<double>(seeds.size());
  }

  double item_mean(const Items& items, uint64_t major, uint64_t from) const {
    const std::size_t n = items.values->size();
    if (n > normal_from) return items.mean + items.error * rng_.normal(major, from);
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += (*items.values)[rng_.below(n, major, from + i)];
    return sum / static_cast<double>(n);
  }

  const std::vector<Term>& terms_;
  bool together_;
  Rng rng_{1979, Stream::sample};
};

Interval interval_of(std::vector<Term> terms) {
  Interval out;
  for (Term& t : terms) {
    require(!t.samples->seeds.empty(), "[bootstrap] expected at least one seed");
    for (const auto& items : t.samples->seeds) {
      require(!items.empty(), "[bootstrap] a seed has no items");
      t.seeds.push_back(items_of(items));
    }
    out.mean += t.sign * t.samples->mean();
  }
  for (const auto& items : terms[0].samples->seeds) out.items += static_cast<int64_t>(items.size());
  out.seeds = static_cast<int>(terms[0].samples->seeds.size());
  std::vector<double> draws(bootstrap_draws);
  const Draws source(terms);
  for (std::size_t i = 0; i < draws.size(); ++i) draws[i] = source.value(i);
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
