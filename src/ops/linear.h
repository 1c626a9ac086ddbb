// linear: y = x W^T [+ b] [+ residual].   x (.., d_in), W (d_out, d_in), b (d_out), y and residual (.., d_out).
//
// backward, with d_y the gradient of y:
//   d_x = d_y W      d_W = d_y^T x      d_b = sum over rows of d_y      d_residual = d_y
// frozen: the same d_x and d_residual, constant d_y . b
// The products are the kernels: every device has them in tensor/gemm, so this operator has no table of its own.
#pragma once
#include "run/run.h"

namespace crate {

struct LinearArgs {
  Tensor weight;
  Tensor bias = {};
  Tensor residual = {};
  bool operand = false;  // y goes where Run::make_operand says: only products read it
};

/// Throws Error when the shapes do not fit.
Tensor linear(Run& run, const Tensor& x, const LinearArgs& args);

/// 2 rows d_in d_out operations; the backward does twice that.
Cost linear_cost(int64_t rows, int64_t d_in, int64_t d_out);

/// to (+)= column sums of x (rows, n): the gradient of anything added to every row. Fixed order of additions.
void sum_rows(Device& device, const GradTo& to, const Tensor& x);

}  // namespace crate
