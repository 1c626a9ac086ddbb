// attend_reference: the definition of attention in plain loops; the arbiter of the kernels.
#include <algorithm>
#include <cmath>
#include <complex>
#include <vector>

#include "ops/attend_core.h"
#include "ops/score_rows_loops.h"
#include "tensor/device.h"

namespace crate {
namespace {

using Index = std::ptrdiff_t;

Index seen(const AttendShape& s, Index i) { return s.causal ? std::clamp<Index>(i + s.offset + 1, 0, s.n_k) : s.n_k; }

/// to (seen) = the scores of query i, times scale.
template <class T> void score_row(const AttendShape& s, HeadRows<T> q, HeadRows<T> k, Index i, T* to) {
  for (Index j = 0; j < seen(s, i); ++j)
    to[j] = T(s.scale) * dot_product(q.at + i * q.stride, k.at + j * k.stride, s.p);
}

template <class T>
void pattern(const AttendShape& s, HeadRows<T> q, HeadRows<T> k, const T* lse, T* to, T* /*scratch*/) {
  for (Index i = 0; i < s.n_q; ++i, to += s.n_k) {
    score_row(s, q, k, i, to);
    for (Index j = 0; j < seen(s, i); ++j) to[j] = std::exp(to[j] - lse[i]);
    for (Index j = seen(s, i); j < s.n_k; ++j) to[j] = T{};
  }
}

template <class T>
void forward(const AttendShape& s, HeadRows<T> q, HeadRows<T> k, HeadRows<T> v, HeadOut<T> o, T* lse, T* /*scratch*/) {
  std::vector<T> row(static_cast<std::size_t>(s.n_k));
  for (Index i = 0; i < s.n_q; ++i) {
    score_row(s, q, k, i, row.data());
    T* to = o.at + i * o.stride;
    std::fill_n(to, s.p, T{});
    T top = seen(s, i) > 0 ? row[0] : T{};
    T total{};
    for (Index j = 0; j < seen(s, i); ++j) top = re(row[j]) > re(top) ? row[j] : top;
    for (Index j = 0; j < seen(s, i); ++j) total += row[j] = std::exp(row[j] - top);
    lse[i] = top + std::log(total);
    for (Index j = 0; j < seen(s, i); ++j) {
      for (Index c = 0; c < s.p; ++c) to[c] += row[j] / total * v.at[j * v.stride + c];
    }
  }
}

template <class T>
void backward(const AttendShape& s, const AttendSaved<T>& x, const AttendGrads<T>& grads, T* scratch) {
  const Index p = s.p;
  std::vector<T> weights(s.n_q * s.n_k);
  std::vector<T> d_q(s.n_q * p);
  std::vector<T> d_k(s.n_k * p);
  std::vector<T> d_v(s.n_k * p);
  pattern(s, x.q, x.k, x.lse, weights.data(), scratch);
  for (Index i = 0; i < s.n_q; ++i) {
    const T* d_o = x.d_o.at + i * x.d_o.stride;
    const T d = dot_product(d_o, x.o.at + i * x.o.stride, p);
    for (Index j = 0; j < seen(s, i); ++j) {
      const T weight = weights[i * s.n_k + j];
      const T slope = T(s.scale) * weight * (dot_product(d_o, x.v.at + j * x.v.stride, p) - d);
      for (Index c = 0; c < p; ++c) {
        d_v[j * p + c] += weight * d_o[c];
        d_q[i * p + c] += slope * x.k.at[j * x.k.stride + c];
        d_k[j * p + c] += slope * x.q.at[i * x.q.stride + c];
      }
    }
  }
  put_rows(s.n_k, p, d_k.data(), grads.d_k, grads.add_k);
  put_rows(s.n_k, p, d_v.data(), grads.d_v, grads.d_v.at == grads.d_k.at || grads.add_v);
  put_rows(s.n_q, p, d_q.data(), grads.d_q, grads.d_q.at == grads.d_k.at || grads.add_q);
}

template <class T> constexpr AttendKernels<T> reference{forward<T>, pattern<T>, backward<T>, score_row_kernels<T>()};

}  // namespace

template <> const AttendKernels<double>& attend_reference<double>() { return reference<double>; }
template <> const AttendKernels<std::complex<double>>& attend_reference<std::complex<double>>() {
  return reference<std::complex<double>>;
}

}  // namespace crate
