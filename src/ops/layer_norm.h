// layer_norm: y = scale * (x - mean) / sqrt(var + eps) [+ shift], mean and variance (of n, not n - 1) over each row.
// x and y (.., d), scale and shift (d). Ba, Kiros, Hinton, "Layer normalization", 2016.
//
// backward, with h = (x - mean) / s, s = sqrt(var + eps), g = scale * d_y, means over the row:
//   d_x = (g - mean(g) - h mean(g h)) / s      d_scale = sum over rows of d_y h      d_shift = sum over rows of d_y
#pragma once
#include "run/run.h"

namespace crate {

struct LayerNormArgs {
  Tensor scale;
  Tensor shift = {};
  double eps = 1e-5;
};

/// Throws Error when the shapes do not fit.
Tensor layer_norm(Run& run, const Tensor& x, const LayerNormArgs& args);

/// About 8 operations a number; reads x, writes y.
Cost layer_norm_cost(int64_t rows, int64_t d);

}  // namespace crate
