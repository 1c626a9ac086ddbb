// dropout: y = x * mask / (1 - p), mask 0 with probability p, else 1. Only in training: else the operator returns x.
// Whether number i of the tensor lives is a function of (seed, step, site, i), so a step draws the same masks on every
// device and for every thread count, and a recomputed forward draws them again.
//
// backward: d_x = d_y * mask / (1 - p).
#pragma once
#include "run/run.h"

namespace crate {

struct DropoutArgs {
  double p = 0;       // in [0, 1)
  uint64_t site = 0;  // below 2^32, another one for every place in the model
};

/// x itself unless run.options().train and p > 0. Throws Error when p lies outside [0, 1).
Tensor dropout(Run& run, const Tensor& x, const DropoutArgs& args);

Cost dropout_cost(int64_t numbers);

}  // namespace crate
