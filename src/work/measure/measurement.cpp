#include "work/measure/measurement.h"

#include <fmt/format.h>

#include <cmath>

namespace crate {

void Spread::add(double value) {
  ++count_;
  const double step = value - mean_;
  mean_ += step / static_cast<double>(count_);
  squares_ += step * (value - mean_);
}

double Spread::deviation() const { return count_ > 1 ? std::sqrt(squares_ / static_cast<double>(count_ - 1)) : 0; }

bool Spread::clearly_positive() const {
  return count_ > 0 && mean_ > 2 * deviation() / std::sqrt(static_cast<double>(count_)) && mean_ > 0;
}

std::vector<LayerWarning> warnings_of(const Measurement& m) {
  std::vector<LayerWarning> out;
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    const LayerMeasure& layer = m.layers[i];
    if (!layer.objective_step) continue;
    if (layer.rate_c_step.clearly_positive()) {
      const std::string step = fmt::format("blocks.{}: the attention step", i);
      out.push_back(
          {step, fmt::format("{} raised R^c by {:.3g} nats on average, from {:.5g} to {:.5g}", step,
                             layer.rate_c_step.mean(), layer.pre.rate_c_unit.mean(), layer.mid.rate_c_unit.mean())});
    }
    if (layer.objective_step->clearly_positive()) {
      const std::string step = fmt::format("blocks.{}: the coding step", i);
      out.push_back(
          {step, fmt::format("{} raised its objective by {:.3g} a token on average, from {:.5g} to {:.5g}; it "
                             "fell for {:.0f} % of the tokens",
                             step, layer.objective_step->mean(), layer.objective_before->mean(),
                             layer.objective_after->mean(), 100 * layer.objective_fell)});
    }
  }
  return out;
}

}  // namespace crate
