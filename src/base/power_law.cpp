#include "base/power_law.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace crate {
namespace {

constexpr std::size_t fewest_points = 3;
constexpr int floors = 2000;  // that are tried

double off_by(const FlooredLaw& law, const std::vector<std::pair<double, double>>& points) {
  double sum = 0;
  for (const auto& [x, y] : points) sum += std::pow(std::log(law.at(x) / y), 2);
  return sum;
}

}  // namespace

double PowerLaw::at(double x) const { return factor * std::pow(x, exponent); }

PowerLaw fit_power_law(const std::vector<std::pair<double, double>>& points) {
  require(points.size() >= fewest_points, "[power law] a power law is fitted to three points or more, came {}",
          points.size());
  const auto n = static_cast<double>(points.size());
  double mean_x = 0, mean_y = 0, spread = 0, product = 0, residuals = 0;
  for (const auto& [x, y] : points) {
    require(x > 0 && y > 0 && std::isfinite(x * y), "[power law] both coordinates are above 0, came {} and {}", x, y);
    mean_x += std::log(x) / n;
    mean_y += std::log(y) / n;
  }
  for (const auto& [x, y] : points) {
    spread += (std::log(x) - mean_x) * (std::log(x) - mean_x);
    product += (std::log(x) - mean_x) * (std::log(y) - mean_y);
  }
  require(spread > 0, "[power law] the points of a power law differ in x, all came at {}", points.front().first);
  PowerLaw law;
  law.exponent = product / spread;
  law.factor = std::exp(mean_y - law.exponent * mean_x);
  for (const auto& [x, y] : points) {
    const double off = std::log(y) - std::log(law.factor) - law.exponent * std::log(x);
    residuals += off * off;
  }
  law.error = std::sqrt(residuals / (n - 2) / spread);
  const auto& [x0, y0] = points[points.size() - 2];
  const auto& [x1, y1] = points.back();
  law.last_exponent = std::log(y1 / y0) / std::log(x1 / x0);
  return law;
}

FlooredLaw fit_floored_law(const std::vector<std::pair<double, double>>& points) {
  require(points.size() > fewest_points, "[power law] a floor is fitted to four points or more, came {}",
          points.size());
  FlooredLaw best{0, fit_power_law(points)};
  const double lowest =
      std::min_element(points.begin(), points.end(), [](auto& a, auto& b) { return a.second < b.second; })->second;
  for (int i = 1; i < floors; ++i) {
    const double floor = lowest * i / floors;
    auto above = points;
    for (auto& [x, y] : above) y -= floor;
    const FlooredLaw law{floor, fit_power_law(above)};
    if (off_by(law, points) < off_by(best, points)) best = law;
  }
  return best;
}

}  // namespace crate
