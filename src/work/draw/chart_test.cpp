#include "work/draw/chart.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"

namespace crate {
namespace {

TEST(Chart, DrawsEveryFinitePointInsideTheFrame) {
  const double lost = std::numeric_limits<double>::quiet_NaN();
  const std::string svg = svg_of({"a < b", "steps", "loss", {{"one", {{1, 2}, {10, lost}, {100, 4}}}}, true});
  EXPECT_NE(svg.find("points=\"70.0,390.0 540.0,40.0 \""), std::string::npos) << svg;
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(Chart, RefusesToDrawNothing) { EXPECT_THROW(svg_of({"empty", "x", "y", {{"one", {}}}, false}), Error); }

}  // namespace
}  // namespace crate
