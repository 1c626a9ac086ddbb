// ista: proximal gradient steps for a non-negative sparse code in a square dictionary D, started at the input itself.
// v and y (.., d), D (d, d), eta (1), lambda (1) or (d), residual (.., d). As columns:
//   z_0 = v      r_s = v - D z_(s-1)      z_s = relu(z_(s-1) + eta D' r_s - eta lambda), s = 1..steps
//   y = z_steps [+ residual]
// One step is Yu et al., "White-box transformers via sparse rate reduction", 2023, eq. 17, with two products for three:
// D' v - D' D v = D' (v - D v). In rows D z is z D'; D is the authors' `weight`.
#pragma once
#include "run/run.h"

namespace crate {

struct IstaArgs {
  Tensor dict;
  Tensor eta;
  Tensor lambda;
  int steps = 1;
  Tensor residual = {};
  Site site = {};  // taps "code" (the last code, before the residual) and "resid" (r of the last step)
};

/// eta and lambda get gradients when they are parameters of the run. Throws Error when the shapes do not fit.
Tensor ista(Run& run, const Tensor& v, const IstaArgs& args);

/// 4 rows d^2 operations a step; the backward twice that.
Cost ista_cost(int64_t rows, int64_t d, int steps);

}  // namespace crate
