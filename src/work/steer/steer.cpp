#include "work/steer/steer.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"

namespace crate {
namespace {

double at(const Tensor& t, int64_t i) { return t.dtype == Dtype::f32 ? t.as<float>()[i] : t.as<double>()[i]; }

// log p of one row of logits.
std::vector<double> log_softmax(const Tensor& logits, int64_t row) {
  std::vector<double> out(static_cast<std::size_t>(logits.cols()));
  double largest = at(logits, row * logits.cols()), sum = 0;
  for (std::size_t j = 0; j < out.size(); ++j) {
    out[j] = at(logits, row * logits.cols() + static_cast<int64_t>(j));
    largest = std::max(largest, out[j]);
  }
  for (const double l : out) sum += std::exp(l - largest);
  for (double& l : out) l -= largest + std::log(sum);
  return out;
}

// Sum over the tokens of one window, some rows of logits at a time.
double window_kl(LanguageModel& model, std::span<const int32_t> window, int64_t first, InterventionTap& tap) {
  const auto n = static_cast<int64_t>(window.size());
  std::vector<int32_t> tokens(window.begin(), window.end());
  const Tensor in{tokens.data(), {1, n}, Dtype::i32};
  Run plain(model.device()), changed(model.device(), {.tap = &tap});
  tap.begin_at(first);
  const Tensor p_in = model.hidden(plain, in), q_in = model.hidden(changed, in);
  constexpr int64_t some = 64;
  double sum = 0;
  for (int64_t lo = 0; lo < n; lo += some) {
    const int64_t hi = std::min(n, lo + some);
    Run head(model.device());
    const Tensor p = model.head(head, p_in.row_slice(lo, hi)), q = model.head(head, q_in.row_slice(lo, hi));
    for (int64_t row = 0; row < hi - lo; ++row) {
      const std::vector<double> log_p = log_softmax(p, row), log_q = log_softmax(q, row);
      for (std::size_t j = 0; j < log_p.size(); ++j) sum += std::exp(log_p[j]) * (log_p[j] - log_q[j]);
    }
  }
  return sum;
}

}  // namespace

double mean_kl(LanguageModel& model, const std::vector<int32_t>& text, const std::vector<Intervention>& changes) {
  require(!text.empty(), "[steer] the neutral text is empty");
  InterventionTap tap(changes, model.config());
  const auto context = static_cast<std::size_t>(model.config().context);
  double sum = 0;
  for (std::size_t begin = 0; begin < text.size(); begin += context) {
    const auto window = std::span(text).subspan(begin, std::min(context, text.size() - begin));
    sum += window_kl(model, window, static_cast<int64_t>(begin), tap);
  }
  return sum / static_cast<double>(text.size());
}

std::vector<Intervention> at_kl(LanguageModel& model, const std::vector<int32_t>& text,
                                std::vector<Intervention> changes, double target) {
  require(target > 0, "[steer] the KL to reach must be > 0, came {}", target);
  require(std::any_of(changes.begin(), changes.end(), [](const auto& c) { return c.change == Change::add; }),
          "[steer] nothing is added: only the strength of additions can be fitted to a KL");
  const auto scaled = [&](double factor) {
    std::vector<Intervention> out = changes;
    for (Intervention& c : out)
      if (c.change == Change::add) c.value *= factor;
    return out;
  };
  // The KL grows with the factor near 0; of several factors that reach the target the search ends at the smallest
  // that doubling meets.
  double low = 0, high = 1.0 / 1024;
  while (mean_kl(model, text, scaled(high)) < target) {
    low = high;
    high *= 2;
    require(high <= 1 << 20, "[steer] no strength reaches a KL of {}: the atoms may have no effect", target);
  }
  for (int step = 0; step < 30; ++step) {
    const double middle = (low + high) / 2, kl = mean_kl(model, text, scaled(middle));
    if (std::abs(kl - target) < 0.02 * target) return scaled(middle);
    (kl < target ? low : high) = middle;
  }
  return scaled(high);
}

}  // namespace crate
