// mha: ordinary multi-head attention, for the black-box twins (Vaswani et al. 2017).
// qkv (b, n, 3 d) holds query, key and value side by side, head h in columns h p .. h p + p - 1 of each:
//   s_ij = q_i.k_j / sqrt(p)      P = softmax of s by rows      out_i = sum_j P_ij v_j
// backward, with D_i = d_out_i.out_i:
//   dS = P o (d_out v^T - D);  d_q = dS k / sqrt(p);  d_k = dS^T q / sqrt(p);  d_v = P^T d_out
// QK-norm (temperature) and rotary positions as in mssa, so that comparisons stay fair.
#pragma once
#include "ops/attention.h"

namespace crate {

struct MhaArgs {
  int64_t heads = 1;
  bool causal = false;
  Tensor temperature = {};  ///< (heads), or none: QK-norm
  double norm_eps = 1e-6;
  bool rotary = false;  ///< needs an even p
  double rotary_base = 10000;
  /// Decoding: qkv holds only the tokens after cache->used; the operator appends key and value. Rows (b, capacity, 2
  /// d).
  TokenCache* cache = nullptr;
  bool operand = false;  ///< the result goes where Run::make_operand says: only products read it
  Site site = {};        ///< offers `pattern` (b, heads, n, n_k) to a tap that wants it
};

/// (b, n, 3 d) -> (b, n, d). Throws Error when the shapes do not fit.
Tensor mha(Run& run, const Tensor& qkv, const MhaArgs& args);

}  // namespace crate
