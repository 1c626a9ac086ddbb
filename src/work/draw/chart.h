// chart: lines over an axis as a self-contained SVG, for figures that a run leaves beside its numbers; several charts
// stand side by side.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace crate {

struct Line {
  std::string name;
  std::vector<std::pair<double, double>> points;  // (x, y), x rising; not finite: left out
  std::vector<double> deviation = {};             // of each point, drawn as a band around the line; or none
  bool dots = false;                              // mark the points
};

struct Chart {
  std::string title, x, y;  // y and x: what the axes measure, with units
  std::vector<Line> lines;
  bool log_x = false;
  bool whole_x = false;  // x counts something: marks at whole numbers only
  bool log_y = false;
};

/// An SVG document. The same input gives the same text. Throws Error when nothing can be drawn.
std::string svg_of(const Chart& chart);
/// From left to right.
std::string svg_of(const std::vector<Chart>& charts);

}  // namespace crate
