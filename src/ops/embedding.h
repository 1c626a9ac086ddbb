// embedding: y[b, i] = table[tokens[b, i]] [+ positions[first_position + i]].
// tokens i32 (b, n), table (V, d), positions (N, d), y (b, n, d).
//
// backward: d_table[t] = sum of d_y over the places that hold t, in the order of the places;
//           d_positions[first_position + i] = sum over b of d_y[b, i], other rows 0.
// frozen: its rows are where the network begins, so they are constants: d_y[b, i] . table[token], d_y[b, i] . position.
#pragma once
#include "ops/reference.h"
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

/// One call as its kernels see it: rows of width d, batches of n rows.
struct EmbeddingCall {
  Tensor tokens, table, positions, y;
  int64_t first_position;
};
struct EmbeddingGrad {
  Tensor d_y;
  GradTo d_table, d_positions;
};

namespace ref {

template <class T> void embedding(const EmbeddingCall& c) {
  const int64_t n = c.tokens.cols(), d = c.y.cols();
  const T *table = c.table.as<T>(), *positions = maybe<T>(c.positions);
  for (int64_t i = 0; i < c.y.rows(); ++i) {
    const T* row = table + c.tokens.as<int32_t>()[i] * d;
    const T* position = positions ? positions + (c.first_position + i % n) * d : nullptr;
    for (int64_t j = 0; j < d; ++j) c.y.as<T>()[i * d + j] = row[j] + (position ? position[j] : T{0});
  }
}

template <class T> void embedding_backward(const EmbeddingCall& c, const EmbeddingGrad& to) {
  const int64_t n = c.tokens.cols(), d = c.y.cols();
  const T* d_y = to.d_y.as<T>();
  T *d_table = opened<T>(to.d_table), *d_positions = opened<T>(to.d_positions);
  for (int64_t i = 0; i < c.y.rows(); ++i, d_y += d) {
    const int64_t token = c.tokens.as<int32_t>()[i], position = c.first_position + i % n;
    for (int64_t j = 0; j < d; ++j) {
      if (d_table) d_table[token * d + j] += d_y[j];
      if (d_positions) d_positions[position * d + j] += d_y[j];
    }
  }
}

}  // namespace ref

}  // namespace crate
