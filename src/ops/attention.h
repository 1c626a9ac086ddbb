// attention: what mssa and mha share: the walk over batch and heads, the tape, the tap at `pattern`, the decode cache.
//
// Letters: b sequences, n tokens of each, k heads, p their width, d = k p. Everything is read and written in place in
// tensors that hold the heads side by side (head h owns columns h p .. h p + p - 1); no n x n matrix is made unless a
// tap wants the pattern (b, k, n_q, n_k). Heads are independent, one task each; sums over the batch are taken in order.
// Of a source or result that is kept as bf16 (Run::make_operand) a head makes f32 copies of its own rows: they stay in
// the caches, and the kernels know one kind of rows.
#pragma once
#include <cstdint>

#include "run/run.h"

namespace crate {

/// Past tokens of b sequences while decoding: what the operator was given for them, row by row. One vector of d a token
/// for mssa (keys and values are the same tensor), two for mha (key, then value). Options are applied when the rows are
/// read, so a cache holds the same numbers whatever the options, but for `trace`, which comes before. A metric makes
/// that dear, p operations for every number that is read; so its keys may be kept as they are scored.
struct TokenCache {
  Tensor rows;         // (b, capacity, d) for mssa, (b, capacity, 2 d) for mha; allocated by the owner
  int64_t used = 0;    // rows filled; the operator appends its tokens and advances this
  Tensor keys = {};    // (b k, capacity, p): score rows of keys (ops/score_rows.h), head by head; or none
  Tensor newest = {};  // (b, d): the newest token's row before `trace` (ops/trace.h), where the model has it
};

/// One call, ready to be computed and walked back.
struct AttentionCall {
  const char* op = "";  // "mssa"
  Tensor source;        // (b, n_q, width): w, or q|k|v side by side
  int64_t q_column = 0, k_column = 0, v_column = 0;
  int64_t heads = 1;
  bool causal = false;
  Tensor temperature = {};  // (k): norm of the score rows, times this for the queries; or none
  double norm_eps = 1e-6;
  Tensor shift = {};      // (d) or none
  Tensor direction = {};  // (d) or none: of a head, p/2 numbers r, then p/2 numbers s
  Tensor metric_q = {};   // (d, p) or none: of a head, the p rows of the matrix of its queries
  Tensor metric_k = {};   // the same of its keys
  bool rotary = false;
  double rotary_base = 10000;
  bool relay = false;  // head h takes its values from the columns of head h + 1, the last from those of the first
  bool exclusive = false;
  bool operand = false;         // the result goes where Run::make_operand says: only products read it
  TokenCache* cache = nullptr;  // its rows hold source's columns from k_column on
  Site site = {};
};

/// Shape (b, n_q, d). Checks everything but the width of the source, executes, records.
/// Throws Error when shapes do not fit, when p is odd under rotary, or when a cache is used while recording.
Tensor attention(Run& run, const AttentionCall& call);

/// Queries times keys that are seen, times 4 p operations a head and sequence: scores and weighted sums.
Cost attention_cost(int64_t batch, int64_t n_q, int64_t n_k, int64_t d, bool causal);
/// What metrics add: a product a query and a key of each head.
Cost metrics_cost(int64_t batch, int64_t n_q, int64_t n_k, int64_t d, int64_t p);

}  // namespace crate
