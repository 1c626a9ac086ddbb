// chart: lines over an axis as a self-contained SVG, for figures that a run leaves beside its numbers.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace crate {

struct Line {
  std::string name;
  std::vector<std::pair<double, double>> points;  // (x, y), x rising; not finite: left out
};

struct Chart {
  std::string title, x, y;  // y and x: what the axes measure, with units
  std::vector<Line> lines;
  bool log_x = false;
};

/// An SVG document. The same input gives the same text. Throws Error when nothing can be drawn.
std::string svg_of(const Chart& chart);

}  // namespace crate
