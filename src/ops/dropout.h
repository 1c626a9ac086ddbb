// dropout: y = x * mask / (1 - p), mask 0 with probability p, else 1. Only in training: else the operator returns x.
// Whether number i of the tensor lives is a function of (seed, step, site, i), so a step draws the same masks on every
// device and for every thread count, and a recomputed forward draws them again.
//
// p counts in steps of 2^-16. backward: d_x = d_y * mask / (1 - p).
#pragma once
#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct DropoutArgs {
  double p = 0;       // in [0, 1)
  uint64_t site = 0;  // below 2^32, another one for every place in the model
};

/// x itself unless run.options().train and p > 0. Throws Error when p lies outside [0, 1).
Tensor dropout(Run& run, const Tensor& x, const DropoutArgs& args);

Cost dropout_cost(int64_t numbers);

/// One call as its kernels see it. mask (one byte a number) is drawn once, for the forward and the backward.
struct DropoutCall {
  Tensor x, y;
  Tensor mask;
  double scale;  // 1 / (1 - p)
};

namespace ref {

/// to (+)= from * mask * scale: the forward on x, the backward on d_y.
template <class T> void dropout(const DropoutCall& c, const Tensor& from, const GradTo& to) {
  T* out = opened<T>(to);
  for (int64_t i = 0; i < from.numel(); ++i) {
    if (c.mask.as<uint8_t>()[i]) out[i] += from.as<T>()[i] * c.scale;
  }
}

}  // namespace ref

}  // namespace crate
