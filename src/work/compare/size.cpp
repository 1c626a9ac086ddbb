#include "work/compare/size.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "model/cost.h"
#include "model/parameters.h"

namespace crate {
namespace {

constexpr double close_enough = 0.005;

double change(const ModelConfig& a, const ModelConfig& b) {
  const auto moved = [](int64_t x, int64_t y) {
    return std::abs(std::log(static_cast<double>(x) / static_cast<double>(y)));
  };
  return moved(a.dim, b.dim) + moved(a.layers, b.layers) + 0.5 * moved(a.n_atoms(), b.n_atoms());
}

bool is_valid(const ModelConfig& c) {
  try {
    c.validate();
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Both budgets grow almost linearly with the atoms: a bisection finds where they fit best.
ModelConfig with_best_atoms(ModelConfig c, const Budget& target, Match match) {
  if (has_square_code(c.family)) return c;  // as wide as the stream
  const auto excess = [&](int64_t eighths) {
    c.atoms = 8 * eighths;
    const Budget b = budget_of(c);
    double sum = 0;
    if (match != Match::flops) sum += std::log(b.parameters / target.parameters);
    if (match != Match::parameters) sum += std::log(b.flops / target.flops);
    return sum;
  };
  const int64_t fewest = std::max<int64_t>(1, (c.dim + 7) / 8);  // atoms between d and 8 d
  int64_t low = fewest, high = c.dim;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (excess(middle) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  const bool below = low > fewest && std::abs(excess(low - 1)) < std::abs(excess(low));
  c.atoms = 8 * (below ? low - 1 : low);
  return c;
}

std::vector<ModelConfig> candidates(const ModelConfig& config, const Budget& target, Match match) {
  std::vector<ModelConfig> out;
  const int64_t step = 2 * config.heads;
  const int64_t spread = match == Match::both ? 2 : 0;
  for (int64_t layers = std::max<int64_t>(1, config.layers - spread); layers <= config.layers + spread; ++layers) {
    for (int64_t dim = step * std::max<int64_t>(1, config.dim / 2 / step); dim <= 2 * config.dim; dim += step) {
      ModelConfig c = config;
      c.layers = layers;
      c.dim = dim;
      if (config.head_width > 0) c.head_width = 2 * std::max<int64_t>(1, config.head_width * dim / config.dim / 2);
      if (layers != config.layers) {
        if (c.eta.size() > 1) c.eta.resize(static_cast<std::size_t>(layers), c.eta.back());
        if (c.lambda.size() > 1) c.lambda.resize(static_cast<std::size_t>(layers), c.lambda.back());
      }
      // As wide a dictionary, in proportion, as asked; then the one that fits best.
      c.atoms = config.atoms == 0 ? 0 : std::max<int64_t>(8, config.atoms * dim / config.dim / 8 * 8);
      if (!is_valid(c)) continue;  // some positions of images ask for a width of their own
      out.push_back(c);
      out.push_back(with_best_atoms(c, target, match));
    }
  }
  return out;
}

}  // namespace

Budget budget_of(const ModelConfig& config) {
  const ModelCost cost = training_cost(config, 1, config.context);
  const double units = is_image(config.family) ? 1 : static_cast<double>(config.context);
  return {static_cast<double>(count_parameters(config).all), (cost.forward.flops + cost.backward.flops) / units};
}

double mismatch(const Budget& a, const Budget& b, Match match) {
  const double parameters = std::abs(std::log(a.parameters / b.parameters)),
               flops = std::abs(std::log(a.flops / b.flops));
  switch (match) {
    case Match::parameters:
      return parameters;
    case Match::flops:
      return flops;
    case Match::both:
      return std::max(parameters, flops);
    default:
      return 0;
  }
}

ModelConfig sized_to(const ModelConfig& config, const Budget& target, Match match) {
  if (match == Match::none || match == Match::time) return config;
  ModelConfig best = config;
  const auto distance = [&](const ModelConfig& c) {
    return std::max(close_enough, mismatch(budget_of(c), target, match));
  };
  double best_distance = distance(config);
  for (const ModelConfig& c : candidates(config, target, match)) {
    const double d = distance(c);
    if (d < best_distance || (d == best_distance && change(c, config) < change(best, config))) {
      best = c;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace crate
