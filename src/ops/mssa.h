// mssa: multi-head subspace self-attention, the compression step of CRATE (Yu et al. 2023, eq. 11 and released code).
// w (b, n, d) are the tokens' coordinates in k subspaces, w = z U^T (one `linear`, its only projection); head h owns
// columns h p .. h p + p - 1 and is query, key and value at once:
//   s_ij = w_i.w_j / sqrt(p)      P = softmax of s by rows      out_i = sum_j P_ij w_j
// backward, with D_i = d_out_i.out_i:
//   dS = P o (d_out w^T - D);  d_w = P^T d_out + (dS + dS^T) w / sqrt(p): one tensor receives all three gradients
// Options, off by default, in this order (formulas in ops/score_rows.h):
//   shift        keys become w_j + c o w_(j-1), c learned per channel
//   metric       queries become w_i A_h and keys w_j B_h, two p x p matrices a head: scores are a bilinear form on the
//                subspace, A B' its matrix where rows are not normed
//   temperature  QK-norm: queries and keys divided by their RMS in the head, scores times a learned t_h
//   direction    keys times a learned complex factor a pair of channels: k_a <- (1 + r_a + i s_a) k_a. The real part
//                keeps the scores symmetric, the imaginary one tells before from after
//   rotary       queries and keys turned by their positions; values stay as they are
//   relay        values are the coordinates in the next subspace: head h weighs by its columns and moves those of
//                head h + 1, the last one those of head 0. Still one projection: each column is compared once, moved
//                once
//   exclusive    each output loses its part along the query's own value row
#pragma once
#include "ops/attention.h"

namespace crate {

struct MssaArgs {
  int64_t heads = 1;
  bool causal = false;
  Tensor shift = {};        ///< (d), or none
  Tensor temperature = {};  ///< (heads), or none
  double norm_eps = 1e-6;
  Tensor direction = {};  ///< (d): of a head, p/2 numbers r, then p/2 numbers s; or none. Needs an even p
  Tensor metric_q = {};   ///< (d, p): of a head, the p rows of A; or none
  Tensor metric_k = {};   ///< (d, p): of a head, the p rows of B; or none
  bool rotary = false;    ///< needs an even p
  double rotary_base = 10000;
  bool relay = false;
  bool exclusive = false;
  /// Decoding: w holds only the tokens after cache->used; the operator appends them. Rows (b, capacity, d). Needs
  /// causal.
  TokenCache* cache = nullptr;
  bool operand = false;  ///< the result goes where Run::make_operand says: only products read it
  Site site = {};        ///< offers `pattern` (b, heads, n, n_k) to a tap that wants it
};

/// (b, n, d) -> (b, n, d). Throws Error when the shapes do not fit.
Tensor mssa(Run& run, const Tensor& w, const MssaArgs& args);

}  // namespace crate
