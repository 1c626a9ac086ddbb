// power_law: y = c x^e through points, by least squares of log y against log x, so that every doubling weighs the same.
//
//   e = sum (X - mean X)(Y - mean Y) / S,  S = sum (X - mean X)^2,  X = log x, Y = log y
//   standard error of e: sqrt(sum of squared residuals / (n - 2) / S)
#pragma once
#include <utility>
#include <vector>

namespace crate {

struct PowerLaw {
  double factor = 0, exponent = 0;
  double error = 0;          // standard error of the exponent
  double last_exponent = 0;  // between the two largest x: where a law with several terms is heading

  double at(double x) const;
};

/// Points (x, y), x rising. Throws Error for fewer than three, or for a number that is not above 0.
PowerLaw fit_power_law(const std::vector<std::pair<double, double>>& points);

/// y = floor + c x^e: a law towards something that no size undercuts.
struct FlooredLaw {
  double floor = 0;
  PowerLaw above;  // of y - floor

  double at(double x) const { return floor + above.at(x); }
};

/// The floor in [0, lowest y) whose law lies closest to the points, by squares of log y; three numbers are fitted.
/// Throws Error for fewer than four points, or as above.
FlooredLaw fit_floored_law(const std::vector<std::pair<double, double>>& points);

}  // namespace crate
