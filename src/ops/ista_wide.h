// ista_wide: proximal gradient steps for a non-negative sparse code in a wide dictionary W, started at zero, and the
// read-out of that code. v and y (.., d), W (m, d) with one atom a row, V = dict_out (m, d) or W itself, eta (1),
// lambda (1) or (m), residual (.., d). As columns:
//   z_0 = 0      r_s = v - W' z_(s-1)      z_s = relu(z_(s-1) + eta W r_s - eta lambda), s = 1..steps
//   y = V' z_steps [+ residual]
// Two tied steps are the block of CRATE-LM (Bai and Ma, "Improving neuron-level interpretability with white-box
// language models", 2024) with four products for five, since r_1 = v; two steps with dict_out and residual that of
// CRATE-alpha.
#pragma once
#include "run/run.h"

namespace crate {

struct IstaWideArgs {
  Tensor dict;
  Tensor dict_out = {};  // empty: tied
  Tensor eta;
  Tensor lambda;
  int steps = 2;
  Tensor residual = {};
  Site site = {};  // taps "code" (read or edited before the read-out) and "code0" (the first code, when steps > 1)
};

/// eta and lambda get gradients when they are parameters of the run. Throws Error when the shapes do not fit.
Tensor ista_wide(Run& run, const Tensor& v, const IstaWideArgs& args);

/// 4 rows m d operations a step; the backward twice that.
Cost ista_wide_cost(int64_t rows, int64_t d, int64_t m, int steps);

}  // namespace crate
