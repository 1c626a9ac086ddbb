// trace: coordinates that carry a share of the token before: y_i = x_i + c o x_(i-1), x_0 = 0 before each sequence.
// x, y (b, n, d), c (d), learned. A causal filter along the tokens, the same for every sequence: what follows reads y
// alone, so in mssa y is query, key and value at once.
//
// backward: d_x_i = d_y_i + c o d_y_(i+1)      d_c = sum over b and i of d_y_i o x_(i-1)
// frozen: the same d_x
#pragma once
#include "ops/attention.h"
#include "ops/reference.h"

namespace crate {

struct TraceArgs {
  Tensor share;  ///< c (d)
  /// Decoding: x holds only the tokens after cache->used; its `newest` (b, d) is the x before them, and is advanced.
  TokenCache* cache = nullptr;
  bool operand = false;  ///< y goes where Run::make_operand says: only products and attention read it
};

/// Throws Error when the shapes do not fit or a cache comes while recording.
Tensor trace(Run& run, const Tensor& x, const TraceArgs& args);

Cost trace_cost(int64_t rows, int64_t d);

/// One call as its kernels see it.
struct TraceCall {
  Tensor x, share, y;
  Tensor before;  ///< (b, d): the x before the first of each sequence, or none: 0
};
struct TraceGrad {
  Tensor d_y;
  GradTo d_x, d_share;
};

namespace ref {

template <class T> void trace(const TraceCall& c) {
  const int64_t n = c.x.shape[1], d = c.x.cols();
  const T *x = c.x.as<T>(), *share = c.share.as<T>(), *before = maybe<T>(c.before);
  for (int64_t i = 0; i < c.x.rows(); ++i) {
    const T* last = i % n > 0 ? x + (i - 1) * d : before ? before + i / n * d : nullptr;
    for (int64_t j = 0; j < d; ++j) c.y.as<T>()[i * d + j] = x[i * d + j] + (last ? share[j] * last[j] : T{0});
  }
}

template <class T> void trace_backward(const TraceCall& c, const TraceGrad& to) {
  const int64_t n = c.x.shape[1], d = c.x.cols();
  const T *x = c.x.as<T>(), *share = c.share.as<T>(), *d_y = to.d_y.as<T>();
  T *d_x = opened<T>(to.d_x), *d_share = opened<T>(to.d_share);
  for (int64_t i = 0; i < c.x.rows(); ++i) {
    for (int64_t j = 0; j < d; ++j) {
      if (d_x) d_x[i * d + j] += d_y[i * d + j];
      if (i % n == 0) continue;
      if (d_x) d_x[(i - 1) * d + j] += share[j] * d_y[i * d + j];
      if (d_share) d_share[j] += d_y[i * d + j] * x[(i - 1) * d + j];
    }
  }
}

}  // namespace ref

}  // namespace crate
