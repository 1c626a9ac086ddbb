#include "work/report/causal.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/parallel.h"

namespace crate {
namespace {

std::size_t z(int64_t i) { return static_cast<std::size_t>(i); }

// A few windows as one batch, and the model's next-token distributions on them as log-probabilities.
class Neutral {
 public:
  Neutral(LanguageModel& model, const std::vector<Window>& windows, int64_t tokens) : model_(model) {
    length_ = static_cast<int64_t>(windows.front().tokens.size());
    const int64_t most = std::max<int64_t>(1, tokens / length_);
    for (const Window& w : windows) {
      if (!w.held_out || rows_ == most) continue;
      tokens_.insert(tokens_.end(), w.tokens.begin(), w.tokens.end());
      ++rows_;
    }
    require(rows_ > 0, "[report] no window is held out; give a text with more documents");
  }

  int64_t count() const { return rows_ * length_; }
  const std::vector<int32_t>& tokens() const { return tokens_; }

  /// (count, vocab).
  std::vector<float> log_probabilities(Tap* tap) {
    Run run(model_.device(), {.tap = tap});
    const Tensor logits = model_.logits(run, {tokens_.data(), {rows_, length_}, Dtype::i32});
    const int64_t vocab = logits.cols();
    std::vector<float> out(logits.as<float>(), logits.as<float>() + logits.numel());
    parallel_for(count(), 4, [&](int64_t lo, int64_t hi) {
      for (int64_t t = lo; t < hi; ++t) {
        float* row = out.data() + t * vocab;
        const float most = *std::max_element(row, row + vocab);
        double sum = 0;
        for (int64_t v = 0; v < vocab; ++v) sum += std::exp(row[v] - most);
        const auto shift = static_cast<float>(most + std::log(sum));
        for (int64_t v = 0; v < vocab; ++v) row[v] -= shift;
      }
    });
    return out;
  }

  /// Values of a direction at every token.
  std::vector<float> values(const std::string& site, const std::vector<float>& direction) {
    std::vector<float> out(z(count()));
    UnitTap tap(model_.config(), [&](int64_t layer, const Tensor& code) {
      if (unit_site(model_.config(), layer) != site) return;
      for (int64_t t = 0; t < count(); ++t) {
        const float* h = code.as<float>() + t * code.cols();
        out[z(t)] = std::max(0.0F, std::inner_product(h, h + code.cols(), direction.begin(), 0.0F));
      }
    });
    Run run(model_.device(), {.tap = &tap});
    model_.hidden(run, {tokens_.data(), {rows_, length_}, Dtype::i32});
    return out;
  }

 private:
  LanguageModel& model_;
  std::vector<int32_t> tokens_;
  int64_t rows_ = 0, length_ = 0;
};

// KL(p || q) of each token, from log-probabilities.
std::vector<double> kl_of(const std::vector<float>& p, const std::vector<float>& q, int64_t tokens) {
  const int64_t vocab = static_cast<int64_t>(p.size()) / tokens;
  std::vector<double> out(z(tokens));
  parallel_for(tokens, 4, [&](int64_t lo, int64_t hi) {
    for (int64_t t = lo; t < hi; ++t) {
      double sum = 0;
      for (int64_t v = t * vocab; v < (t + 1) * vocab; ++v) sum += std::exp(p[z(v)]) * (double{p[z(v)]} - q[z(v)]);
      out[z(t)] = std::max(0.0, sum);
    }
  });
  return out;
}

double mean_of(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

// Mean probability of a set of tokens.
double mass_of(const std::vector<float>& log_p, const std::vector<int32_t>& set, int64_t tokens) {
  const int64_t vocab = static_cast<int64_t>(log_p.size()) / tokens;
  double sum = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    for (const int32_t v : set) sum += std::exp(log_p[z(t * vocab + v)]);
  }
  return sum / static_cast<double>(tokens);
}

// How often each token stands in the windows not held out.
std::vector<double> shares_of(const std::vector<Window>& windows, int64_t vocab) {
  std::vector<double> out(z(vocab));
  double all = 0;
  for (const Window& w : windows) {
    if (w.held_out) continue;
    for (std::size_t i = 1; i < w.tokens.size(); ++i) out[z(w.tokens[i])] += 1;
    all += static_cast<double>(w.tokens.size() - 1);
  }
  for (double& x : out) x /= std::max(1.0, all);
  return out;
}

// The ten tokens that follow a unit most beyond their share; empty when the unit was never on.
std::vector<int32_t> followers(const std::vector<double>& next, const std::vector<double>& shares) {
  const double all = next.back();
  if (all <= 0) return {};
  std::vector<int32_t> order(shares.size());
  std::iota(order.begin(), order.end(), 0);
  const auto lift = [&](int32_t v) { return next[z(v)] / all - shares[z(v)]; };
  const std::size_t n = std::min<std::size_t>(10, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                    [&](int32_t a, int32_t b) { return lift(a) > lift(b); });
  order.resize(n);
  return order;
}

double specificity_of(const std::vector<float>& values, const std::vector<double>& kl) {
  double weighted = 0, weight = 0, off = 0, off_count = 0;
  for (std::size_t t = 0; t < kl.size(); ++t) {
    weighted += values[t] * kl[t];
    weight += values[t];
    if (values[t] <= 0) off += kl[t], off_count += 1;
  }
  if (weight <= 0) return 0;
  const double a = weighted / weight, i = off_count > 0 ? off / off_count : mean_of(kl);
  return a + i > 0 ? a / (a + i) : 0;
}

struct Steered {
  double gain = 0, rises = 0;
};

// KL grows as the square of a small push, so the push is corrected by the square root of what is missing.
Steered steer(Neutral& neutral, const std::vector<float>& before, const std::string& site,
              const std::vector<float>& direction, const std::vector<int32_t>& aims, double start, double target) {
  const int64_t n = neutral.count();
  const auto pushed = [&](double by) {
    DirectionTap tap(site, direction, false, by);
    return neutral.log_probabilities(&tap);
  };
  double push = start, kl = 0;
  std::vector<float> after;
  for (int i = 0; i < 12; ++i) {
    after = pushed(push);
    kl = mean_of(kl_of(before, after, n));
    if (std::abs(kl - target) <= 0.05 * target) break;
    if (!std::isfinite(kl) || push > 1e6) return {};
    push *= std::clamp(std::sqrt(target / std::max(kl, 1e-12)), 0.1, 10.0);
  }
  if (std::abs(kl - target) > 0.2 * target) return {};
  const double base = mass_of(before, aims, n), whole = mass_of(after, aims, n);
  const double quarter = mass_of(pushed(push / 4), aims, n), half = mass_of(pushed(push / 2), aims, n);
  return {std::log(whole) - std::log(base), base < quarter && quarter < half && half < whole ? 1.0 : 0.0};
}

}  // namespace

CausalScores causal_scores(LanguageModel& model, const std::vector<Window>& windows, const View& view,
                           const ViewReading& reading, const CausalOptions& options) {
  Neutral wide(model, windows, options.tokens), narrow(model, windows, options.steer_tokens);
  const std::vector<float> before = wide.log_probabilities(nullptr), short_before = narrow.log_probabilities(nullptr);
  const std::vector<double> shares = shares_of(windows, model.config().vocab);
  CausalScores out;
  for (int64_t layer = 0; layer < model.config().layers; ++layer) {
    const Directions& directions = view[z(layer)];
    const std::string site = unit_site(model.config(), layer);
    for (int64_t k = 0; k < std::min(options.units, directions.count()); ++k) {
      const std::vector<float> direction = directions.vector(k), values = wide.values(site, direction);
      const std::vector<int32_t> aims = followers(reading.next.at(z(layer)).at(z(k)), shares);
      const float most = *std::max_element(values.begin(), values.end());
      double specificity = 0;
      if (most > 0) {
        DirectionTap removed(site, direction, true, 0);
        specificity = specificity_of(values, kl_of(before, wide.log_probabilities(&removed), wide.count()));
      }
      const Steered steered = aims.empty() ? Steered{}
                                           : steer(narrow, short_before, site, direction, aims,
                                                   most > 0 ? static_cast<double>(most) : 1.0, options.kl);
      out.specificity.push_back(specificity);
      out.steering.push_back(steered.gain);
      out.dose.push_back(steered.rises);
    }
  }
  return out;
}

}  // namespace crate
