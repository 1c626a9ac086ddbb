#include "work/report/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace crate {

std::string short_value(double x) {
  const double size = std::abs(x);
  if (x == 0) return "0";
  if (size < 5e-4 || size >= 1e5) return fmt::format("{:.1e}", x);
  return size < 10 ? fmt::format("{:.3f}", x) : fmt::format("{:.1f}", x);
}

std::string signed_value(double x) { return (x > 0 ? "+" : "") + short_value(x); }

std::string model_title(const ReportCard& card, int model) {
  const ReportedModel& m = card.models[static_cast<std::size_t>(model)];
  return card.models[0].family == card.models[1].family ? fmt::format("{} ({})", m.name, m.family) : m.family;
}

std::string ahead_text(const ReportCard& card, const Verdict& v) {
  return v.ahead < 0 ? "cannot be told apart" : model_title(card, v.ahead);
}

int most_layers(const ReportCard& card) {
  return static_cast<int>(std::max(card.models[0].layers, card.models[1].layers));
}

std::string summary(const ReportCard& card) {
  int count[3] = {0, 0, 0}, all = 0;
  for (const Measure& m : measures()) {
    if (!m.headline || !has_excess(card, m)) continue;
    ++count[1 + verdict_on(card, m).ahead];
    ++all;
  }
  if (all == 0) return "No measure was taken on both models, trained and untrained.";
  return fmt::format("Of {} measures {} is ahead in {}, {} in {}; in {} they cannot be told apart at 95 %.", all,
                     model_title(card, 0), count[1], model_title(card, 1), count[2], count[0]);
}

}  // namespace crate
