// head: attention of one head with every option, forward and backward, over the kernels of any scalar.
// q', k' = score rows of q and k (ops/score_rows.h: shift on keys, metrics, norm and temperature, direction on keys,
// rotary); y = softmax(scale q' k'^T) v;  o = y, or y without its part along the query's own value row (exclusive).
// Rows of the values are never turned or normed. The last n_q of the n_k positions are the queries.
#pragma once
#include <cstdint>
#include <type_traits>

#include "ops/attend_core.h"
#include "tensor/device.h"

namespace crate {

/// One head's inputs. For MSSA q, k, v are one tensor's rows (q the last n_q of them), or v another head's (relay).
template <class T> struct HeadInputs {
  AttendShape shape;
  HeadRows<T> q, k, v;
  HeadRows<T> own;   ///< the queries' own value rows, n_q of them; read only with exclusive
  HeadRows<T> made;  ///< k', n_k of them, where it is kept; or none
  bool norm = false;
  double norm_eps = 1e-6;
  T temperature = T{1};          ///< factor of the normed queries
  const T* shift = nullptr;      ///< (p) or none
  const T* metric_q = nullptr;   ///< (p, p), of the queries, or none
  const T* metric_k = nullptr;   ///< (p, p), of the keys, or none
  const T* direction = nullptr;  ///< (p), factors of the keys' pairs, or none
  const T* turns = nullptr;      ///< (n_k, p), see ScoreRows, or none
  bool exclusive = false;
};

/// What one head's forward leaves for its backward: n_q numbers each.
template <class T> struct HeadKept {
  T* lse = nullptr;
  T* along = nullptr;  ///< a_i of the exclusion; none without it
};

/// Gradients of one head. Equal addresses of d_q, d_k, d_v receive one sum. d_shift (p), d_metric_q and d_metric_k (p,
/// p), d_direction (p) and d_temperature are set when the options have them, and may be empty when no option changes
/// the scores.
template <class T> struct HeadGrads {
  HeadOut<T> d_q, d_k, d_v;
  bool add = false;
  T* d_shift = nullptr;
  T* d_metric_q = nullptr;
  T* d_metric_k = nullptr;
  T* d_direction = nullptr;
  T* d_temperature = nullptr;
};

/// Numbers of scratch that the functions below need.
std::size_t head_scratch(const AttendShape& shape);

/// k' of the last n_q positions, to be kept. Without shift, which reads the row before.
template <class T> void head_keys(const AttendKernels<T>& kernels, const HeadInputs<T>& x, HeadOut<T> to, T* scratch);

template <class T>
void head_forward(const AttendKernels<T>& kernels, const HeadInputs<T>& x, HeadOut<T> o, const HeadKept<T>& kept,
                  T* scratch);

/// The pattern (n_q, n_k) of a head whose forward has run.
template <class T>
void head_pattern(const AttendKernels<T>& kernels, const HeadInputs<T>& x, const HeadKept<T>& kept, T* pattern,
                  T* scratch);

/// o from a pattern that somebody edited.
template <class T>
void head_from_pattern(const AttendKernels<T>& kernels, const HeadInputs<T>& x, const T* pattern, HeadOut<T> o,
                       const HeadKept<T>& kept);

/// o and d_o are what the forward wrote and its gradient. Needs n_q = n_k.
template <class T>
void head_backward(const AttendKernels<T>& kernels, const HeadInputs<T>& x, HeadRows<T> o, HeadRows<T> d_o,
                   const HeadKept<T>& kept, const HeadGrads<T>& grads, T* scratch);

/// The frozen rule: with the pattern and the exclusion held, o is linear in the values alone. d_v = P' d_y, where
/// d_y = d_o, or d_o without its part along the query's own row. `pattern` holds n_q n_k numbers, any content.
template <class T>
void head_values_backward(const AttendKernels<T>& kernels, const HeadInputs<T>& x, const HeadKept<T>& kept,
                          HeadRows<T> d_o, HeadOut<T> d_v, bool add, T* pattern, T* scratch);

/// The kernels for a scalar: float for this machine, double and complex by definition. An exact device takes the same
/// ones on every machine; one with narrow products those that read bf16, where they are the faster ones: on a machine
/// with tiles f32 gave 1.1x in training steps of crate-gpt and gpt2, medians of four in turn.
template <class T> const AttendKernels<T>& kernels_for(const Device& device) {
  if constexpr (std::is_same_v<T, float>) {
    if (device.exact()) return attend_kernels(Isa::avx2);
    const bool wide = device.products() == Products::f32 || has_tiles();
    const AttendKernels<float>* narrow = wide ? nullptr : attend_kernels_bf16();
    return narrow != nullptr ? *narrow : attend_kernels();
  } else {
    return attend_reference<T>();
  }
}

/// Cosines and sines of the rotary positions first .. n-1 into their rows of to (n, p), p/2 cosines and p/2 sines of
/// position * base^(-2a/p) a row; p even. Rows before the first may be written, too.
template <class T> void rotary_turns(int64_t first, int64_t n, int64_t p, double base, T* to);

}  // namespace crate
