// unit_rows: every row scaled to length 1.   y = x / max(|x|, 1e-12),  x and y (.., d)
//
// backward:  d_x = (d_y - y (y'd_y)) / |x|; below the floor d_x = d_y / 1e-12
#pragma once
#include <cmath>

#include "ops/reference.h"
#include "run/run.h"

namespace crate {

Tensor unit_rows(Run& run, const Tensor& x);

Cost unit_rows_cost(int64_t rows, int64_t d);

/// One call as its kernels see it. lengths (rows) receives max(|x|, floor).
struct UnitRowsCall {
  static constexpr double floor = 1e-12;
  Tensor x, y, lengths;
};
struct UnitRowsGrad {
  Tensor d_y;
  GradTo d_x;
};

namespace ref {

template <class T> void unit_rows(const UnitRowsCall& c) {
  const int64_t d = c.x.cols();
  for (int64_t i = 0; i < c.x.rows(); ++i) {
    const T* x = c.x.as<T>() + i * d;
    T squares{0};
    for (int64_t j = 0; j < d; ++j) squares += x[j] * x[j];
    const T length = std::sqrt(squares);
    c.lengths.as<T>()[i] = re(length) > UnitRowsCall::floor ? length : T(UnitRowsCall::floor);
    for (int64_t j = 0; j < d; ++j) c.y.as<T>()[i * d + j] = x[j] / c.lengths.as<T>()[i];
  }
}

template <class T> void unit_rows_backward(const UnitRowsCall& c, const UnitRowsGrad& to) {
  const int64_t d = c.x.cols();
  T* d_x = opened<T>(to.d_x);
  for (int64_t i = 0; d_x && i < c.x.rows(); ++i) {
    const T *y = c.y.as<T>() + i * d, *d_y = to.d_y.as<T>() + i * d, length = c.lengths.as<T>()[i];
    T along{0};
    for (int64_t j = 0; j < d; ++j) along += y[j] * d_y[j];
    if (re(length) <= UnitRowsCall::floor) along = T{0};
    for (int64_t j = 0; j < d; ++j) d_x[i * d + j] += (d_y[j] - along * y[j]) / length;
  }
}

}  // namespace ref

}  // namespace crate
