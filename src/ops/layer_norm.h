// layer_norm: y = scale * (x - mean) / sqrt(var + eps) [+ shift], mean and variance (of n, not n - 1) over each row.
// x and y (.., d), scale and shift (d). Ba, Kiros, Hinton, "Layer normalization", 2016.
//
// backward, with h = (x - mean) / s, s = sqrt(var + eps), g = scale * d_y, means over the row:
//   d_x = (g - mean(g) - h mean(g h)) / s      d_scale = sum over rows of d_y h      d_shift = sum over rows of d_y
// frozen, s held (the mean stays linear):  d_x = (g - mean(g)) / s      constant d_y . shift
#pragma once
#include <cmath>
#include <vector>

#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct LayerNormArgs {
  Tensor scale;
  Tensor shift = {};
  double eps = 1e-5;
  bool operand = false;  // y goes where Run::make_operand says: only products read it
};

/// Throws Error when the shapes do not fit.
Tensor layer_norm(Run& run, const Tensor& x, const LayerNormArgs& args);

/// About 8 operations a number; reads x, writes y.
Cost layer_norm_cost(int64_t rows, int64_t d);

/// One call as its kernels see it.
struct LayerNormCall {
  Tensor x, scale, shift, y;
  Tensor stats;   // (rows, 2): mean and 1/s, kept by the cpu kernel for its backward; empty when nobody will ask
  Tensor normed;  // h as bf16, kept where y is bf16: then the backward does not read x, which may be given up
  double eps;
  bool frozen = false;
};
struct LayerNormGrad {
  Tensor d_y;
  GradTo d_x, d_scale, d_shift;
};

namespace ref {

/// h = (x - mean) / s for one row; gives 1 / s.
template <class T> T normalise(const T* x, int64_t d, double eps, bool frozen, T* h) {
  T mean = 0, var = 0;
  for (int64_t j = 0; j < d; ++j) mean += x[j] / static_cast<double>(d);
  for (int64_t j = 0; j < d; ++j) var += (x[j] - mean) * (x[j] - mean) / static_cast<double>(d);
  const T inv = held(frozen, T(1.0 / std::sqrt(var + eps)));
  for (int64_t j = 0; j < d; ++j) h[j] = (x[j] - mean) * inv;
  return inv;
}

template <class T> void layer_norm(const LayerNormCall& c) {
  const int64_t d = c.x.cols();
  const T *x = c.x.as<T>(), *scale = c.scale.as<T>(), *shift = maybe<T>(c.shift);
  std::vector<T> h(static_cast<std::size_t>(d));
  for (int64_t i = 0; i < c.x.rows(); ++i) {
    normalise(x + i * d, d, c.eps, c.frozen, h.data());
    for (int64_t j = 0; j < d; ++j) c.y.as<T>()[i * d + j] = scale[j] * h[j] + (shift ? shift[j] : T{0});
  }
}

template <class T> void layer_norm_backward(const LayerNormCall& c, const LayerNormGrad& to) {
  const int64_t d = c.x.cols();
  const T *x = c.x.as<T>(), *scale = c.scale.as<T>(), *d_y = to.d_y.as<T>();
  T *d_x = opened<T>(to.d_x), *d_scale = opened<T>(to.d_scale), *d_shift = opened<T>(to.d_shift);
  std::vector<T> h(static_cast<std::size_t>(d));
  for (int64_t i = 0; i < c.x.rows(); ++i, d_y += d) {
    const T inv = normalise(x + i * d, d, c.eps, c.frozen, h.data());
    T g_mean = 0, gh_mean = 0;
    for (int64_t j = 0; j < d; ++j) {
      g_mean += scale[j] * d_y[j] / static_cast<double>(d);
      gh_mean += scale[j] * d_y[j] * h[j] / static_cast<double>(d);
    }
    for (int64_t j = 0; j < d; ++j) {
      if (d_x) d_x[i * d + j] += (scale[j] * d_y[j] - g_mean - (c.frozen ? T{0} : h[j] * gh_mean)) * inv;
      if (d_scale) d_scale[j] += d_y[j] * h[j];
      if (d_shift) d_shift[j] += d_y[j];
    }
  }
}

}  // namespace ref

}  // namespace crate
