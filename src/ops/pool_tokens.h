// pool_tokens: one vector an image: the mean over some of its tokens, or one token alone.
// x (b, n, d), y (b, d):   y = sum over from <= i < to of x[i] / (to - from)
//
// backward: d_x[i] = d_y times the weight that token i has in y, 0 for the others. Frozen: the same.
#pragma once
#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct PoolArgs {
  int64_t from = 0;  // the first token that is read
  int64_t to = 0;    // and the one behind the last; 0 = n
};

/// {0, 1} reads the first token alone. Throws Error when nothing is left to read.
Tensor pool_tokens(Run& run, const Tensor& x, const PoolArgs& args);

Cost pool_tokens_cost(int64_t batch, int64_t read, int64_t d);

/// One call as its kernels see it.
struct PoolCall {
  Tensor x, y;
  int64_t from, to;
};

namespace ref {

template <class T> void pool_tokens(const PoolCall& c) {
  const int64_t n = c.x.shape[1], d = c.x.cols();
  for (int64_t b = 0; b < c.y.rows(); ++b) {
    for (int64_t j = 0; j < d; ++j) {
      T sum = 0;
      for (int64_t i = c.from; i < c.to; ++i) sum += c.x.as<T>()[(b * n + i) * d + j];
      c.y.as<T>()[b * d + j] = sum / static_cast<double>(c.to - c.from);
    }
  }
}

template <class T> void pool_tokens_backward(const PoolCall& c, const Tensor& d_y, const GradTo& to) {
  const int64_t n = c.x.shape[1], d = c.x.cols();
  T* d_x = opened<T>(to);
  for (int64_t b = 0; b < c.y.rows(); ++b) {
    for (int64_t i = c.from; i < c.to; ++i)
      for (int64_t j = 0; j < d; ++j)
        d_x[(b * n + i) * d + j] += d_y.as<T>()[b * d + j] / static_cast<double>(c.to - c.from);
  }
}

}  // namespace ref

}  // namespace crate
