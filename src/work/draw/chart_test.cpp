#include "work/draw/chart.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"

namespace crate {
namespace {

TEST(Chart, DrawsEveryFinitePointInsideTheFrame) {
  const double lost = std::numeric_limits<double>::quiet_NaN();
  const std::string svg = svg_of({"a < b", "steps", "loss", {{"one", {{1, 2}, {10, lost}, {100, 4}}}}, true});
  EXPECT_NE(svg.find("points=\"70.0,390.0 540.0,50.0 \""), std::string::npos) << svg;
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(Chart, StandsBesideAnotherWithBandsInsideTheFrame) {
  const Chart one{"one", "layer", "rate", {{"a", {{1, 2}, {3, 4}}, {1, 1}, true}}, false, true};
  const std::string svg = svg_of(std::vector<Chart>{one, one});
  EXPECT_NE(svg.find("viewBox=\"0 0 1440 440\""), std::string::npos);
  EXPECT_NE(svg.find("<polygon points=\"70.0,220.0 540.0,50.0 540.0,220.0 70.0,390.0 \""), std::string::npos) << svg;
  EXPECT_NE(svg.find("<polygon points=\"790.0,220.0 1260.0,50.0 1260.0,220.0 790.0,390.0 \""), std::string::npos);
  EXPECT_NE(svg.find("middle\" font-size=\"12\">2<"), std::string::npos);  // a whole number between the ends
  EXPECT_EQ(svg.find("middle\" font-size=\"12\">1.5<"), std::string::npos);
}

TEST(Chart, APowerLawIsAStraightLineOnLogarithms) {
  const std::string svg =
      svg_of({"law", "size", "ms", {{"square", {{1, 1}, {10, 100}, {100, 10000}}}}, true, false, true});
  EXPECT_NE(svg.find("points=\"70.0,390.0 305.0,220.0 540.0,50.0 \""), std::string::npos) << svg;
  EXPECT_NE(svg.find("end\" font-size=\"12\">100<"), std::string::npos);
  EXPECT_NE(svg.find("middle\" font-size=\"12\">50<"), std::string::npos);
}

TEST(Chart, RefusesToDrawNothing) { EXPECT_THROW(svg_of({"empty", "x", "y", {{"one", {}}}, false}), Error); }

}  // namespace
}  // namespace crate
