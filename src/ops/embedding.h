// embedding: y[b, i] = table[tokens[b, i]] [+ positions[first_position + i]].
// tokens i32 (b, n), table (V, d), positions (N, d), y (b, n, d).
//
// backward: d_table[t] = sum of d_y over the places that hold t, in the order of the places;
//           d_positions[first_position + i] = sum over b of d_y[b, i], other rows 0.
#pragma once
#include "run/run.h"

namespace crate {

struct EmbeddingArgs {
  Tensor table;
  Tensor positions = {};
  int64_t first_position = 0;
};

/// Throws Error when a token lies outside [0, V), when first_position + n exceeds N, or when the shapes do not fit.
Tensor embedding(Run& run, const Tensor& tokens, const EmbeddingArgs& args);

Cost embedding_cost(int64_t rows, int64_t d, bool positions);

}  // namespace crate
