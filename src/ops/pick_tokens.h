// pick_tokens: tokens of each image in another order, some left out, some replaced by one vector: masking.
// x (b, n, d), index i32 (b, m), fill (d), y (b, m, d):   y[b, i] = x[b, index[b, i]], or fill where the index is -1.
//
// backward: d_x[b, j] = sum of d_y over the places that hold j, 0 where none does;  d_fill = sum of d_y where it
// stands.
#pragma once
#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct PickArgs {
  Tensor index;
  Tensor fill = {};  // needed when an index is -1
};

/// Throws Error when an index lies outside [-1, n), or is -1 without a fill, or when the shapes do not fit.
Tensor pick_tokens(Run& run, const Tensor& x, const PickArgs& args);

Cost pick_tokens_cost(int64_t rows, int64_t d);

/// One call as its kernels see it.
struct PickCall {
  Tensor x, index, fill, y;
};
struct PickGrad {
  Tensor d_y;
  GradTo d_x, d_fill;
};

namespace ref {

/// Calls f(row of y, row of x, or -1 for fill).
template <class F> void each_pick(const PickCall& c, F&& f) {
  const int64_t n = c.x.shape[1], m = c.index.shape[1];
  for (int64_t i = 0; i < c.y.rows(); ++i) {
    const int32_t from = c.index.as<int32_t>()[i];
    f(i, from < 0 ? -1 : i / m * n + from);
  }
}

template <class T> void pick_tokens(const PickCall& c) {
  const int64_t d = c.y.cols();
  each_pick(c, [&](int64_t to, int64_t from) {
    std::copy_n(from < 0 ? c.fill.as<T>() : c.x.as<T>() + from * d, d, c.y.as<T>() + to * d);
  });
}

template <class T> void pick_tokens_backward(const PickCall& c, const PickGrad& to) {
  const int64_t d = c.y.cols();
  T *d_x = opened<T>(to.d_x), *d_fill = opened<T>(to.d_fill);
  each_pick(c, [&](int64_t row, int64_t from) {
    T* sum = from < 0 ? d_fill : d_x ? d_x + from * d : nullptr;
    for (int64_t j = 0; sum && j < d; ++j) sum[j] += to.d_y.as<T>()[row * d + j];
  });
}

}  // namespace ref

}  // namespace crate
