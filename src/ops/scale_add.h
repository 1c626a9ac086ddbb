// scale_add: y = residual + gamma * x, one factor a channel (layer scale: Touvron et al., 2021).
// x, y and residual (.., d), gamma (d).
//
// backward: d_x = gamma * d_y      d_gamma = sum over rows of d_y * x      d_residual = d_y
#pragma once
#include "run/run.h"

namespace crate {

/// Throws Error when the shapes do not fit.
Tensor scale_add(Run& run, const Tensor& x, const Tensor& gamma, const Tensor& residual);

Cost scale_add_cost(int64_t rows, int64_t d);

}  // namespace crate
