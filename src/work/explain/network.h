// network: how the blocks of a model read from the stream and write into it, in the letters of docs/explain.md. Direct
// effects between units need nothing else: an atom writes its row of V, a head its columns of W; a head reads the
// stream of other positions through its rows of U, an atom reads the stream of its own through the second half.
#pragma once
#include <vector>

#include "work/explain/walk.h"

namespace crate {

/// The parameters of a block that meet the stream; empty ones are absent.
struct BlockWeights {
  Tensor norm1_scale, norm1_shift;  // (d)
  Tensor u, u_bias;                 // (k p, d): the rows that make values; (k p)
  Tensor share;                     // (k p): of the token before, which values carry; or empty
  Tensor w, w_bias, gamma1;         // (d, k p), (d), (d); no w: heads write as they are
  Tensor v, v_bias, gamma2;         // what an atom writes: (m, d), or (d, m) when v_by_columns; empty: atom j is axis j
  bool v_by_columns = false;
  bool residual = false;  // the stream goes on beside the second half
};

/// What the changes of a subject make of a layer's codes: z <- slope z + constant, told by what becomes of 0 and of 1.
class LayerChange {
 public:
  LayerChange(const Subject& subject, int64_t layer, int64_t positions, int64_t atoms);
  double constant(const Unit& u) const { return of_zero_.empty() ? 0 : of_zero_[at(u)]; }
  double slope(const Unit& u) const { return of_zero_.empty() ? 1 : of_one_[at(u)] - of_zero_[at(u)]; }

 private:
  std::size_t at(const Unit& u) const { return static_cast<std::size_t>(u.position * atoms_ + u.index); }
  std::vector<double> of_zero_, of_one_;  // empty: nothing is changed
  int64_t atoms_;
};

class Network {
 public:
  explicit Network(const Subject& subject);
  const BlockWeights& block(int64_t i) const { return blocks_[static_cast<std::size_t>(i)]; }
  /// Where the values of a head begin among the rows of u that make values.
  int64_t value_row(int64_t head) const { return (relay_ ? (head + 1) % heads_ : head) * head_dim_; }
  /// Where they begin in a row of coords.
  int64_t value_column(int64_t head) const { return value_column_ + value_row(head); }
  /// The target's gradient at the weighted sum of values of one head at one position: d_o, without its part along the
  /// query's own value row when the attention is exclusive.
  std::vector<double> value_gradient(const BlockSeen& block, int64_t row, const Unit& head) const;

 private:
  std::vector<BlockWeights> blocks_;
  int64_t value_column_, heads_, head_dim_;
  bool exclusive_, relay_;
};

}  // namespace crate
