// scale_add: y = residual + gamma * x, one factor a channel (layer scale: Touvron et al., 2021).
// x, y and residual (.., d), gamma (d).
//
// backward: d_x = gamma * d_y      d_gamma = sum over rows of d_y * x      d_residual = d_y
// frozen: the same d_x and d_residual
#pragma once
#include "ops/reference.h"
#include "run/run.h"

namespace crate {

/// Throws Error when the shapes do not fit.
Tensor scale_add(Run& run, const Tensor& x, const Tensor& gamma, const Tensor& residual);

Cost scale_add_cost(int64_t rows, int64_t d);

/// One call as its kernels see it.
struct ScaleAddCall {
  Tensor x, gamma, residual, y;
};
struct ScaleAddGrad {
  Tensor d_y;
  GradTo d_x, d_gamma;
};

namespace ref {

template <class T> void scale_add(const ScaleAddCall& c) {
  const int64_t d = c.x.cols();
  const T *x = c.x.as<T>(), *gamma = c.gamma.as<T>(), *residual = c.residual.as<T>();
  for (int64_t i = 0; i < c.x.numel(); ++i) c.y.as<T>()[i] = residual[i] + gamma[i % d] * x[i];
}

template <class T> void scale_add_backward(const ScaleAddCall& c, const ScaleAddGrad& to) {
  const int64_t d = c.x.cols();
  const T *x = c.x.as<T>(), *gamma = c.gamma.as<T>(), *d_y = to.d_y.as<T>();
  T *d_x = opened<T>(to.d_x), *d_gamma = opened<T>(to.d_gamma);
  for (int64_t i = 0; i < c.x.numel(); ++i) {
    if (d_x) d_x[i] += gamma[i % d] * d_y[i];
    if (d_gamma) d_gamma[i % d] += d_y[i] * x[i];
  }
}

}  // namespace ref

}  // namespace crate
