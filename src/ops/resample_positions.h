// resample_positions: a table of positions for a grid of another size, by bicubic interpolation between the old places,
// as is usual practice (Touvron et al. 2021, Caron et al. 2021): a cubic of Keys with a = -0.75, pixel centres
// (align_corners off), borders repeated, no smoothing when the grid shrinks.
// x (g + r c, d): g tokens before the grid are copied; y (g + R C, d). Along each axis row o of the new grid stands at
// s = (o + 1/2) r / R - 1/2 of the old one and reads rows floor(s) - 1 .. floor(s) + 2, so y = A x, d_x = A' d_y.
#pragma once
#include <array>
#include <cmath>
#include <vector>

#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct Grid {
  int64_t rows = 0, columns = 0;
  bool operator==(const Grid&) const = default;
};

struct ResampleArgs {
  Grid from, to;
  int64_t before = 0;  // g
};

/// Throws Error when the shapes do not fit.
Tensor resample_positions(Run& run, const Tensor& x, const ResampleArgs& args);

Cost resample_positions_cost(int64_t places, int64_t d);

/// Where one row (or column) of the new grid reads: four of the old ones, and their weights.
struct Taps {
  std::array<int64_t, 4> at;
  std::array<double, 4> weight;
};
std::vector<Taps> cubic_taps(int64_t from, int64_t to);

/// One call as its kernels see it.
struct ResampleCall {
  Tensor x, y;
  ResampleArgs args;
  std::vector<Taps> rows, columns;
};

/// Calls f(row of y, row of x, weight) for every pair that has one.
template <class F> void each_pair(const ResampleCall& c, F&& f) {
  const int64_t g = c.args.before;
  for (int64_t i = 0; i < g; ++i) f(i, i, 1.0);
  for (int64_t r = 0; r < c.args.to.rows; ++r) {
    for (int64_t q = 0; q < c.args.to.columns; ++q) {
      const Taps &row = c.rows[static_cast<std::size_t>(r)], &column = c.columns[static_cast<std::size_t>(q)];
      for (std::size_t i = 0; i < 4; ++i)
        for (std::size_t j = 0; j < 4; ++j)
          f(g + r * c.args.to.columns + q, g + row.at[i] * c.args.from.columns + column.at[j],
            row.weight[i] * column.weight[j]);
    }
  }
}

namespace ref {

template <class T> void resample_positions(const ResampleCall& c) {
  const int64_t d = c.x.cols();
  std::fill_n(c.y.as<T>(), c.y.numel(), T{0});
  each_pair(c, [&](int64_t to, int64_t from, double weight) {
    for (int64_t j = 0; j < d; ++j) c.y.as<T>()[to * d + j] += weight * c.x.as<T>()[from * d + j];
  });
}

template <class T> void resample_positions_backward(const ResampleCall& c, const Tensor& d_y, const GradTo& to) {
  const int64_t d = c.x.cols();
  T* d_x = opened<T>(to);
  each_pair(c, [&](int64_t row, int64_t from, double weight) {
    for (int64_t j = 0; j < d; ++j) d_x[from * d + j] += weight * d_y.as<T>()[row * d + j];
  });
}

}  // namespace ref

}  // namespace crate
