// Power laws: the fit on laws that are known, and what has none.
#include "base/power_law.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace crate {
namespace {

using Points = std::vector<std::pair<double, double>>;

TEST(PowerLaws, FindsTheExponentsOfKnownLaws) {
  for (const double exponent : {-0.5, 0.0, 1.0, 1.5, 2.0}) {
    Points points;
    for (const double x : {256.0, 512.0, 1024.0, 3000.0}) points.emplace_back(x, 0.03 * std::pow(x, exponent));
    const PowerLaw law = fit_power_law(points);
    EXPECT_NEAR(law.exponent, exponent, 1e-12);
    EXPECT_NEAR(law.factor, 0.03, 1e-12);
    EXPECT_NEAR(law.error, 0, 1e-12);
    EXPECT_NEAR(law.last_exponent, exponent, 1e-12);
    EXPECT_NEAR(law.at(1e4), 0.03 * std::pow(1e4, exponent), 1e-9 * law.at(1e4));
  }
}

TEST(PowerLaws, TheErrorIsThatOfAStraightLine) {
  // X = 0, 1, 2 and Y = 0, 1, 3: slope 1.5, intercept -1/6, residuals 1/6, -1/3, 1/6, S = 2, sqrt(1/6 / 1 / 2).
  const double e = std::exp(1);
  const PowerLaw law = fit_power_law({{1, 1}, {e, e}, {e * e, e * e * e}});
  EXPECT_NEAR(law.exponent, 1.5, 1e-12);
  EXPECT_NEAR(law.error, std::sqrt(1.0 / 12), 1e-12);
  EXPECT_NEAR(law.last_exponent, 2, 1e-12);
}

TEST(PowerLaws, FindsTheFloorOfAKnownLaw) {
  Points points;
  for (const double x : {1e5, 3e5, 1e6, 3e6, 1e7}) points.emplace_back(x, 0.8 + 12 * std::pow(x, -0.2));
  const FlooredLaw law = fit_floored_law(points);
  EXPECT_NEAR(law.floor, 0.8, 1e-3);
  EXPECT_NEAR(law.above.exponent, -0.2, 1e-3);
  EXPECT_NEAR(law.at(1e9), 0.8 + 12 * std::pow(1e9, -0.2), 1e-3);
  EXPECT_THROW(fit_floored_law({{1, 3}, {2, 2}, {3, 1}}), Error);
}

TEST(PowerLaws, RefusesWhatHasNoLaw) {
  EXPECT_THROW(fit_power_law({{1, 1}, {2, 2}}), Error);
  EXPECT_THROW(fit_power_law({{1, 1}, {2, 2}, {3, 0}}), Error);
  EXPECT_THROW(fit_power_law({{2, 1}, {2, 2}, {2, 3}}), Error);
}

}  // namespace
}  // namespace crate
