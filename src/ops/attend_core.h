// attend_core: softmax attention of one head on raw float rows, forward and backward, without the n x n matrix.
//   s_ij = scale q_i.k_j;  P = softmax of s by rows;  o_i = sum_j P_ij v_j;  lse_i = log sum_j exp s_ij
// n_q queries, n_k keys, p wide. Backward, with d_o given, recomputes P_ij = exp(s_ij - lse_i) tile by tile:
//   D_i = d_o_i.o_i;  dS_ij = P_ij (d_o_i.v_j - D_i);  d_q = scale dS k;  d_k = scale dS^T q;  d_v = P^T d_o
// With q = k = v = w (MSSA) the three gradients are sums into one tensor: d_w = P^T d_o + scale (dS + dS^T) w.
// Tiling after FlashAttention (Dao et al. 2022), online softmax after Milakov and Gimelshein (2018).
#pragma once
#include <cstddef>

#include "ops/score_rows.h"
#include "tensor/isa.h"

namespace crate {

/// One head's sizes and mask.
struct AttendShape {
  std::ptrdiff_t n_q = 0;     ///< queries, >= 1
  std::ptrdiff_t n_k = 0;     ///< keys and values, >= 1
  std::ptrdiff_t p = 0;       ///< width of a head, >= 1
  double scale = 1.0;         ///< factor of the scores, usually p^(-1/2), any sign
  bool causal = false;        ///< query i sees only the keys j <= i + offset
  std::ptrdiff_t offset = 0;  ///< usually n_k - n_q: the queries are the last of the keys' positions
};

/// What the backward pass reads: the forward's inputs and results, and the gradient of o.
template <class T> struct AttendSaved {
  HeadRows<T> q, k, v, o, d_o;
  const T* lse = nullptr;  ///< n_q
};

/// Where the backward pass writes. Equal addresses (MSSA) receive one sum; then n_q = n_k and add_k is the write mode.
template <class T> struct AttendGrads {
  HeadOut<T> d_q, d_k, d_v;
  bool add_q = false, add_k = false, add_v = false;  ///< add to what is there instead of setting it
};

/// Kernels in T; those in float exist once an instruction set. None allocates, none starts threads; the result depends
/// on the arguments alone, and a row of o does not depend on how many other rows are computed with it (but for n_q <=
/// 2, which has a kernel that packs nothing, and for queries at the keys' own address that see both ways, whose scores
/// are computed once a pair, see ops/attend_symmetric.h). A query that sees no key has o = 0, lse = -inf. `scratch`
/// holds attend_scratch(shape) numbers, any content.
template <class T> struct AttendKernels {
  void (*forward)(const AttendShape& shape, HeadRows<T> q, HeadRows<T> k, HeadRows<T> v, HeadOut<T> o, T* lse,
                  T* scratch);
  /// P itself, row-major (n_q, n_k), 0 where masked: for whoever asks to see it.
  void (*pattern)(const AttendShape& shape, HeadRows<T> q, HeadRows<T> k, const T* lse, T* pattern, T* scratch);
  void (*backward)(const AttendShape& shape, const AttendSaved<T>& saved, const AttendGrads<T>& grads, T* scratch);
  ScoreRowKernels<T> rows;
};

/// Numbers of scratch that any kernel needs for this shape; grows as (n_q + n_k) p.
std::size_t attend_scratch(const AttendShape& shape);

/// The kernels in float for an instruction set that this machine runs.
const AttendKernels<float>& attend_kernels(Isa isa = cpu_isa());

/// Those whose products read bf16 and sum in f32 (but for at most two queries, whose products nobody repeats), or null
/// where this machine has no such products.
const AttendKernels<float>* attend_kernels_bf16();

/// The definition in plain loops, with the whole pattern in memory: double and std::complex<double>.
template <class T> const AttendKernels<T>& attend_reference();

}  // namespace crate
