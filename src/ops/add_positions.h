// add_positions: the tokens a model of images begins with: y = [first; x_1 .. x_n] + positions.
// x (b, n, d), first (d): a token set before those of each image, or none; positions (n [+ 1], d) or none;
// y (b, n [+ 1], d).
//
// backward: d_x = d_y without its first row      d_first = sum over b of d_y[b, 0]      d_positions = sum over b of d_y
// frozen: the same d_x, constants d_y[b, 0] . first and d_y[b, i] . position
#pragma once
#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct AddPositionsArgs {
  Tensor first = {};
  Tensor positions = {};
};

/// Throws Error when the shapes do not fit.
Tensor add_positions(Run& run, const Tensor& x, const AddPositionsArgs& args);

Cost add_positions_cost(int64_t rows, int64_t d);

/// One call as its kernels see it.
struct AddPositionsCall {
  Tensor x, first, positions, y;
};
struct AddPositionsGrad {
  Tensor d_y;
  GradTo d_x, d_first, d_positions;
};

namespace ref {

template <class T> void add_positions(const AddPositionsCall& c) {
  const int64_t n = c.y.shape[1], d = c.y.cols(), before = c.first ? 1 : 0;
  const T *first = maybe<T>(c.first), *positions = maybe<T>(c.positions);
  for (int64_t i = 0; i < c.y.rows(); ++i) {
    const int64_t image = i / n, token = i % n;
    const T* from = token < before ? first : c.x.as<T>() + (image * (n - before) + token - before) * d;
    for (int64_t j = 0; j < d; ++j) c.y.as<T>()[i * d + j] = from[j] + (positions ? positions[token * d + j] : T{0});
  }
}

template <class T> void add_positions_backward(const AddPositionsCall& c, const AddPositionsGrad& to) {
  const int64_t n = c.y.shape[1], d = c.y.cols(), before = c.first ? 1 : 0;
  T *d_x = opened<T>(to.d_x), *d_first = opened<T>(to.d_first), *d_positions = opened<T>(to.d_positions);
  for (int64_t i = 0; i < c.y.rows(); ++i) {
    const int64_t image = i / n, token = i % n;
    const T* d_y = to.d_y.as<T>() + i * d;
    for (int64_t j = 0; j < d; ++j) {
      if (d_positions) d_positions[token * d + j] += d_y[j];
      if (token < before && d_first) d_first[j] += d_y[j];
      if (token >= before && d_x) d_x[(image * (n - before) + token - before) * d + j] += d_y[j];
    }
  }
}

}  // namespace ref

}  // namespace crate
