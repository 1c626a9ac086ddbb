// head: prepares the score rows, calls the kernels, leads the gradients back through the score rows.
#include "ops/head.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <vector>

namespace crate {
namespace {

using Index = std::ptrdiff_t;

template <class T> bool plain_scores(const HeadInputs<T>& x) {
  return !x.norm && x.shift == nullptr && x.metric_q == nullptr && x.metric_k == nullptr && x.direction == nullptr &&
         x.turns == nullptr;
}

template <class T> ScoreRows<T> query_rows(const HeadInputs<T>& x) {
  const T* turns = x.turns == nullptr ? nullptr : x.turns + (x.shape.n_k - x.shape.n_q) * x.shape.p;
  return {x.shape.n_q, x.shape.p, x.q, x.norm, x.norm_eps, x.temperature, nullptr, x.metric_q, nullptr, turns};
}

template <class T> ScoreRows<T> key_rows(const HeadInputs<T>& x) {
  return {x.shape.n_k, x.shape.p, x.k, x.norm, x.norm_eps, T{1}, x.shift, x.metric_k, x.direction, x.turns};
}

/// Is q' the temperature times k', and seen both ways? Then one copy serves as both, the scale takes the temperature,
/// and the kernels may use that the scores are symmetric. In float only: the references keep to the definition.
template <class T> bool one_copy(const HeadInputs<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    return x.q.at == x.k.at && x.q.stride == x.k.stride && x.shape.n_q == x.shape.n_k && !x.shape.causal &&
           x.shift == nullptr && x.metric_q == nullptr && x.metric_k == nullptr && x.direction == nullptr &&
           (!x.norm || x.temperature > 0.0F);
  } else {
    return false;
  }
}

/// q' and k', dense in scratch, or the raw rows when no option changes them; `scratch` moves past what was used.
template <class T> struct ScoreInputs {
  AttendShape shape;
  HeadRows<T> q, k;
  ScoreInputs(const AttendKernels<T>& kernels, const HeadInputs<T>& x, T*& scratch) : shape(x.shape), q(x.q), k(x.k) {
    if (plain_scores(x)) return;
    k = x.made.at != nullptr ? x.made : make(kernels, key_rows(x), scratch);
    if (one_copy(x)) {
      q = k;
      if (x.norm) shape.scale *= static_cast<double>(re(x.temperature));
    } else {
      q = make(kernels, query_rows(x), scratch);
    }
  }

 private:
  static HeadRows<T> make(const AttendKernels<T>& kernels, const ScoreRows<T>& rows, T*& scratch) {
    T* to = scratch;
    scratch += rows.n * rows.p;
    kernels.rows.make(rows, to, scratch);  // what lies behind is taken later
    return {to, rows.p};
  }
};

template <class T> T* take(T*& scratch, Index count) {
  T* piece = scratch;
  scratch += count;
  return piece;
}

template <class T> T* take_zeros(T*& scratch, Index count) {
  std::fill_n(scratch, count, T{});
  return take(scratch, count);
}

}  // namespace

std::size_t head_scratch(const AttendShape& shape) {
  const Index rows = shape.n_q + shape.n_k;
  return attend_scratch(shape) + static_cast<std::size_t>(5 * shape.p * rows + score_rows_room(shape.p));
}

template <class T> void head_keys(const AttendKernels<T>& kernels, const HeadInputs<T>& x, HeadOut<T> to, T* scratch) {
  const Index first = x.shape.n_k - x.shape.n_q;
  ScoreRows<T> rows = key_rows(x);
  rows.n = x.shape.n_q;
  rows.w.at += first * rows.w.stride;
  if (rows.turns != nullptr) rows.turns += first * rows.p;
  T* const made = take(scratch, rows.n * rows.p);
  kernels.rows.make(rows, made, scratch);
  kernels.rows.put(rows.n, rows.p, made, to, false);
}

template <class T>
void head_forward(const AttendKernels<T>& kernels, const HeadInputs<T>& x, HeadOut<T> o, const HeadKept<T>& kept,
                  T* scratch) {
  const ScoreInputs<T> scores(kernels, x, scratch);
  kernels.forward(scores.shape, scores.q, scores.k, x.v, o, kept.lse, scratch);
  if (x.exclusive) kernels.rows.exclude(x.shape.n_q, x.shape.p, x.own, o, kept.along);
}

template <class T>
void head_pattern(const AttendKernels<T>& kernels, const HeadInputs<T>& x, const HeadKept<T>& kept, T* pattern,
                  T* scratch) {
  const ScoreInputs<T> scores(kernels, x, scratch);
  kernels.pattern(scores.shape, scores.q, scores.k, kept.lse, pattern, scratch);
}

template <class T>
void head_from_pattern(const AttendKernels<T>& kernels, const HeadInputs<T>& x, const T* pattern, HeadOut<T> o,
                       const HeadKept<T>& kept) {
  const auto [n_q, n_k, p] = std::array{x.shape.n_q, x.shape.n_k, x.shape.p};
  for (Index i = 0; i < n_q; ++i) {
    T* to = o.at + i * o.stride;
    std::fill_n(to, p, T{});
    for (Index j = 0; j < n_k; ++j) {
      const T* value = x.v.at + j * x.v.stride;
      for (Index c = 0; c < p; ++c) to[c] += pattern[i * n_k + j] * value[c];
    }
  }
  if (x.exclusive) kernels.rows.exclude(n_q, p, x.own, o, kept.along);
}

namespace {

/// Sums of the gradients of a head's raw rows; equal where the rows are.
template <class T> struct RawSums { T *q, *k, *v; };

/// The kernel's backward and the way back through the score rows; `raw` holds the raw rows, whose places scores take.
template <class T>
void scores_backward(const AttendKernels<T>& kernels, const HeadInputs<T>& x, AttendSaved<T> raw,
                     const HeadGrads<T>& grads, const RawSums<T>& sums, T* scratch) {
  const Index p = x.shape.p;
  const Index n = x.shape.n_k;
  const ScoreInputs<T> scores(kernels, x, scratch);
  const bool one = one_copy(x);
  T* d_k = take(scratch, n * p);
  T* d_q = one ? d_k : take(scratch, n * p);
  T* room = take(scratch, score_rows_room(p));
  raw.q = scores.q;
  raw.k = scores.k;
  kernels.backward(scores.shape, raw, {{d_q, p}, {d_k, p}, {sums.v, p}, false, false, true}, scratch);
  *grads.d_temperature = T{};
  std::fill_n(grads.d_shift, x.shift == nullptr ? 0 : p, T{});
  std::fill_n(grads.d_metric_q, x.metric_q == nullptr ? 0 : p * p, T{});
  std::fill_n(grads.d_metric_k, x.metric_k == nullptr ? 0 : p * p, T{});
  std::fill_n(grads.d_direction, x.direction == nullptr ? 0 : p, T{});
  if (!one)
    kernels.rows.unmake(query_rows(x), d_q, sums.q, {.metric = grads.d_metric_q, .factor = grads.d_temperature}, room);
  T of_keys{};  // the keys' factor is the constant 1
  kernels.rows.unmake(key_rows(x), d_k, sums.k, {grads.d_shift, grads.d_metric_k, grads.d_direction, &of_keys}, room);
  if (one && x.norm) *grads.d_temperature = of_keys / (T(2) * x.temperature);  // the scores hold it once, two rows each
}

}  // namespace

template <class T>
void head_backward(const AttendKernels<T>& kernels, const HeadInputs<T>& x, HeadRows<T> o, HeadRows<T> d_o,
                   const HeadKept<T>& kept, const HeadGrads<T>& grads, T* scratch) {
  const Index p = x.shape.p;
  const Index n = x.shape.n_k;
  if (plain_scores(x) && !x.exclusive) {
    kernels.backward(x.shape, {x.q, x.k, x.v, o, d_o, kept.lse},
                     {grads.d_q, grads.d_k, grads.d_v, grads.add, grads.add, grads.add}, scratch);
    return;
  }
  T* sum_q = take_zeros(scratch, n * p);
  T* sum_k = grads.d_k.at == grads.d_q.at ? sum_q : take_zeros(scratch, n * p);
  T* sum_v = grads.d_v.at == grads.d_q.at ? sum_q : take_zeros(scratch, n * p);
  if (x.exclusive) {
    T* y = take(scratch, n * p);
    T* d_y = take(scratch, n * p);
    kernels.rows.unexclude(n, p, x.own, o, kept.along, d_o, y, d_y, sum_v);
    o = {y, p};
    d_o = {d_y, p};
  }
  if (plain_scores(x)) {
    kernels.backward(x.shape, {x.q, x.k, x.v, o, d_o, kept.lse}, {{sum_q, p}, {sum_k, p}, {sum_v, p}, true, true, true},
                     scratch);
  } else {
    scores_backward(kernels, x, {x.q, x.k, x.v, o, d_o, kept.lse}, grads, {sum_q, sum_k, sum_v}, scratch);
  }
  kernels.rows.put(n, p, sum_q, grads.d_q, grads.add);
  if (sum_k != sum_q) kernels.rows.put(n, p, sum_k, grads.d_k, grads.add);
  if (sum_v != sum_q) kernels.rows.put(n, p, sum_v, grads.d_v, grads.add);
}

template <class T>
void head_values_backward(const AttendKernels<T>& kernels, const HeadInputs<T>& x, const HeadKept<T>& kept,
                          HeadRows<T> d_o, HeadOut<T> d_v, bool add, T* pattern, T* scratch) {
  const auto [n_q, n_k, p] = std::array{x.shape.n_q, x.shape.n_k, x.shape.p};
  T* const sum = take_zeros(scratch, n_k * p);
  T* const d_y = take(scratch, n_q * p);
  T* const along = take(scratch, n_q);
  for (Index i = 0; i < n_q; ++i) std::copy_n(d_o.at + i * d_o.stride, p, d_y + i * p);
  if (x.exclusive) kernels.rows.exclude(n_q, p, x.own, {d_y, p}, along);  // a projection is its own transpose
  head_pattern(kernels, x, kept, pattern, scratch);
  for (Index i = 0; i < n_q; ++i) {
    for (Index j = 0; j < n_k; ++j) {
      const T weight = pattern[i * n_k + j];
      for (Index c = 0; c < p; ++c) sum[j * p + c] += weight * d_y[i * p + c];
    }
  }
  kernels.rows.put(n_k, p, sum, d_v, add);
}

template <class T> void rotary_turns(int64_t first, int64_t n, int64_t p, double base, T* to) {
  constexpr int64_t anchor = 64;  // between exact values the angles advance by products: a few 1e-15 off
  struct Turn {
    double angle, step_cos, step_sin, cosine, sine;
  };
  const int64_t half = p / 2;
  std::vector<Turn> turns(static_cast<std::size_t>(half));
  for (int64_t a = 0; a < half; ++a) {
    const double angle = std::pow(base, -2.0 * static_cast<double>(a) / static_cast<double>(p));
    turns[static_cast<std::size_t>(a)] = {angle, std::cos(angle), std::sin(angle), 1.0, 0.0};
  }
  const int64_t start = first - first % anchor;
  to += start * p;
  for (int64_t i = start; i < n; ++i, to += p) {
    for (int64_t a = 0; a < half; ++a) {
      Turn& turn = turns[static_cast<std::size_t>(a)];
      if (i % anchor == 0) {
        turn.cosine = std::cos(turn.angle * static_cast<double>(i));
        turn.sine = std::sin(turn.angle * static_cast<double>(i));
      }
      to[a] = static_cast<T>(turn.cosine);
      to[half + a] = static_cast<T>(turn.sine);
      const double next = turn.cosine * turn.step_cos - turn.sine * turn.step_sin;
      turn.sine = turn.sine * turn.step_cos + turn.cosine * turn.step_sin;
      turn.cosine = next;
    }
  }
}

using Complex = std::complex<double>;
template void head_keys(const AttendKernels<float>&, const HeadInputs<float>&, HeadOut<float>, float*);
template void head_forward(const AttendKernels<float>&, const HeadInputs<float>&, HeadOut<float>,
                           const HeadKept<float>&, float*);
template void head_pattern(const AttendKernels<float>&, const HeadInputs<float>&, const HeadKept<float>&, float*,
                           float*);
template void head_from_pattern(const AttendKernels<float>&, const HeadInputs<float>&, const float*, HeadOut<float>,
                                const HeadKept<float>&);
template void head_backward(const AttendKernels<float>&, const HeadInputs<float>&, HeadRows<float>, HeadRows<float>,
                            const HeadKept<float>&, const HeadGrads<float>&, float*);
template void head_values_backward(const AttendKernels<float>&, const HeadInputs<float>&, const HeadKept<float>&,
                                   HeadRows<float>, HeadOut<float>, bool, float*, float*);
template void rotary_turns(int64_t, int64_t, int64_t, double, float*);

template void head_keys(const AttendKernels<double>&, const HeadInputs<double>&, HeadOut<double>, double*);
template void head_forward(const AttendKernels<double>&, const HeadInputs<double>&, HeadOut<double>,
                           const HeadKept<double>&, double*);
template void head_pattern(const AttendKernels<double>&, const HeadInputs<double>&, const HeadKept<double>&, double*,
                           double*);
template void head_from_pattern(const AttendKernels<double>&, const HeadInputs<double>&, const double*, HeadOut<double>,
                                const HeadKept<double>&);
template void head_backward(const AttendKernels<double>&, const HeadInputs<double>&, HeadRows<double>, HeadRows<double>,
                            const HeadKept<double>&, const HeadGrads<double>&, double*);
template void head_values_backward(const AttendKernels<double>&, const HeadInputs<double>&, const HeadKept<double>&,
                                   HeadRows<double>, HeadOut<double>, bool, double*, double*);
template void rotary_turns(int64_t, int64_t, int64_t, double, double*);

template void head_keys(const AttendKernels<Complex>&, const HeadInputs<Complex>&, HeadOut<Complex>, Complex*);
template void head_forward(const AttendKernels<Complex>&, const HeadInputs<Complex>&, HeadOut<Complex>,
                           const HeadKept<Complex>&, Complex*);
template void head_pattern(const AttendKernels<Complex>&, const HeadInputs<Complex>&, const HeadKept<Complex>&,
                           Complex*, Complex*);
template void head_from_pattern(const AttendKernels<Complex>&, const HeadInputs<Complex>&, const Complex*,
                                HeadOut<Complex>, const HeadKept<Complex>&);
template void head_backward(const AttendKernels<Complex>&, const HeadInputs<Complex>&, HeadRows<Complex>,
                            HeadRows<Complex>, const HeadKept<Complex>&, const HeadGrads<Complex>&, Complex*);
template void head_values_backward(const AttendKernels<Complex>&, const HeadInputs<Complex>&, const HeadKept<Complex>&,
                                   HeadRows<Complex>, HeadOut<Complex>, bool, Complex*, Complex*);
template void rotary_turns(int64_t, int64_t, int64_t, double, Complex*);

}  // namespace crate
