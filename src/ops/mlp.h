// mlp: h = act(W_in x [+ b_in]), y = W_out h [+ b_out] [+ residual]; act is the exact GELU or ReLU.
// x, y and residual (.., d), W_in (m, d), b_in (m), W_out (d, m), b_out (d).
#pragma once
#include "run/run.h"

namespace crate {

enum class Activation : uint8_t { gelu, relu };

struct MlpArgs {
  Tensor w_in;
  Tensor b_in = {};
  Tensor w_out;
  Tensor b_out = {};
  Activation act = Activation::gelu;
  Tensor residual = {};
  Site site = {};  // tap "hidden" (h, read or edited)
};

/// Throws Error when the shapes do not fit.
Tensor mlp(Run& run, const Tensor& x, const MlpArgs& args);

/// 4 rows m d operations; the backward twice that.
Cost mlp_cost(int64_t rows, int64_t d, int64_t m);

}  // namespace crate
