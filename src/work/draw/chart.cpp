#include "work/draw/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"

namespace crate {
namespace {

constexpr double width = 720, height = 440, left = 70, right = 180, top = 50, bottom = 50;  // pixels
// Told apart by colour-blind eyes too (Okabe and Ito).
constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void take(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  double part(double v) const { return (v - low) / (high - low); }
};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

// A step of 1, 2 or 5 times a power of ten that cuts the range in three to eight parts.
double tick_step(const Range& r) {
  const double raw = (r.high - r.low) / 8, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double m : {1.0, 2.0, 5.0}) {
    if (raw <= m * power) return m * power;
  }
  return 10 * power;
}

// Where an axis is marked, as values. On a logarithmic one: 1, 2 and 5 times powers of ten, over four decades or more
// powers of ten alone.
std::vector<double> marks(const Range& r, bool log, bool whole) {
  std::vector<double> out;
  if (log) {
    for (double power = std::floor(r.low); power <= r.high; ++power) {
      for (const double m : {1.0, 2.0, 5.0}) {
        const double at = power + std::log10(m);
        if (at >= r.low - 1e-9 && at <= r.high + 1e-9 && (m == 1 || r.high - r.low < 4))
          out.push_back(std::pow(10, at));
      }
    }
    return out;
  }
  const double step = whole ? std::max(1.0, tick_step(r)) : tick_step(r);
  for (double at = std::ceil(r.low / step) * step; at <= r.high; at += step) out.push_back(at);
  return out;
}

class Drawing {
 public:
  Drawing(const Chart& chart, double offset) : chart_(chart), left_(offset + left), right_(offset + width - right) {
    for (const Line& line : chart.lines) {
      for (std::size_t i = 0; i < line.points.size(); ++i) {
        const auto& [x, y] = line.points[i];
        if (!std::isfinite(y)) continue;
        x_.take(placed_x(x));
        y_.take(placed_y(y - deviation(line, i)));
        y_.take(placed_y(y + deviation(line, i)));
      }
    }
    require(x_.low <= x_.high, "[chart] '{}' has no point to draw", chart.title);
    if (x_.low == x_.high) x_.high += 1;
    if (y_.low == y_.high) y_.high += 1;
  }

  std::string text() {
    label(left_, 20, "start", chart_.title, 15);
    axes();
    for (std::size_t i = 0; i < chart_.lines.size(); ++i) line(i);
    return out_;
  }

 private:
  double placed_x(double x) const { return chart_.log_x ? std::log10(x) : x; }
  double placed_y(double y) const { return chart_.log_y ? std::log10(y) : y; }
  double at_x(double x) const { return left_ + x_.part(placed_x(x)) * (right_ - left_); }
  double at_y(double y) const { return height - bottom - y_.part(placed_y(y)) * (height - top - bottom); }

  static double deviation(const Line& line, std::size_t i) { return i < line.deviation.size() ? line.deviation[i] : 0; }

  void label(double x, double y, const char* anchor, const std::string& text, int size = 12) {
    out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\">{}</text>\n", x, y, anchor,
                        size, escaped(text));
  }
  void stroke(double x1, double y1, double x2, double y2) {
    out_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n", x1, y1, x2,
                        y2);
  }

  void axes() {
    for (const double y : marks(y_, chart_.log_y, false)) {
      stroke(left_, at_y(y), right_, at_y(y));
      label(left_ - 6, at_y(y) + 4, "end", fmt::format("{:.4g}", y));
    }
    for (const double x : marks(x_, chart_.log_x, chart_.whole_x)) {
      stroke(at_x(x), top, at_x(x), height - bottom);
      label(at_x(x), height - bottom + 18, "middle", fmt::format("{:.6g}", x));
    }
    label((left_ + right_) / 2, height - 12, "middle", chart_.x);
    label(left_, top - 6, "start", chart_.y);
  }

  void line(std::size_t i) {
    const Line& l = chart_.lines[i];
    const char* colour = colours[i % std::size(colours)];
    std::string points, upper, lower, dots;
    for (std::size_t j = 0; j < l.points.size(); ++j) {
      const auto& [x, y] = l.points[j];
      if (!std::isfinite(y)) continue;
      const double px = at_x(x), d = deviation(l, j);
      points += fmt::format("{:.1f},{:.1f} ", px, at_y(y));
      upper += fmt::format("{:.1f},{:.1f} ", px, at_y(y + d));
      lower = fmt::format("{:.1f},{:.1f} ", px, at_y(y - d)) + lower;
      if (l.dots)
        dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>\n", px, at_y(y), colour);
    }
    if (!l.deviation.empty())
      out_ += fmt::format("<polygon points=\"{}{}\" fill=\"{}\" fill-opacity=\"0.15\"/>\n", upper, lower, colour);
    out_ += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", points, colour);
    out_ += dots;
    const double y = top + 10 + 18 * static_cast<double>(i);
    out_ += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"14\" height=\"4\" fill=\"{}\"/>\n", right_ + 14, y - 4,
                        colour);
    label(right_ + 34, y + 1, "start", l.name);
  }

  const Chart& chart_;
  double left_, right_;
  Range x_, y_;
  std::string out_;
};

}  // namespace

std::string svg_of(const Chart& chart) { return svg_of(std::vector<Chart>{chart}); }

std::string svg_of(const std::vector<Chart>& charts) {
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
      width * static_cast<double>(charts.size()), height);
  for (std::size_t i = 0; i < charts.size(); ++i) out += Drawing(charts[i], static_cast<double>(i) * width).text();
  return out + "</svg>\n";
}

}  // namespace crate
