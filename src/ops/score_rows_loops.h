// score_rows_loops: the loops of ops/score_rows.h as templates over the scalar: the reference.
#pragma once
#include <cmath>
#include <complex>

#include "ops/score_rows.h"

namespace crate {

template <class T> T dot_product(const T* a, const T* b, std::ptrdiff_t p) {
  T sum{};
  for (std::ptrdiff_t c = 0; c < p; ++c) sum += a[c] * b[c];
  return sum;
}

template <class T> T inverse_rms(const ScoreRows<T>& s, const T* x) {
  return T(1) / std::sqrt(dot_product(x, x, s.p) / T(s.p) + T(s.eps));
}

/// x (p) = row i after the shift.
template <class T> void shifted_row(const ScoreRows<T>& s, std::ptrdiff_t i, T* x) {
  const T* w = s.w.at + i * s.w.stride;
  for (std::ptrdiff_t c = 0; c < s.p; ++c) x[c] = w[c];
  if (s.shift == nullptr || i == 0) return;
  const T* before = w - s.w.stride;
  for (std::ptrdiff_t c = 0; c < s.p; ++c) x[c] += s.shift[c] * before[c];
}

/// to (p) = x M
template <class T> void metric_row(const ScoreRows<T>& s, const T* x, T* to) {
  for (std::ptrdiff_t c = 0; c < s.p; ++c) to[c] = T{};
  for (std::ptrdiff_t b = 0; b < s.p; ++b)
    for (std::ptrdiff_t c = 0; c < s.p; ++c) to[c] += x[b] * s.metric[b * s.p + c];
}

/// g: the gradient of x M becomes that of x; that of M is added to d_metric. `room` holds p numbers.
template <class T> void unmake_metric(const ScoreRows<T>& s, const T* x, T* g, T* d_metric, T* room) {
  for (std::ptrdiff_t b = 0; b < s.p; ++b) {
    room[b] = dot_product(s.metric + b * s.p, g, s.p);
    for (std::ptrdiff_t c = 0; c < s.p; ++c) d_metric[b * s.p + c] += x[b] * g[c];
  }
  for (std::ptrdiff_t b = 0; b < s.p; ++b) g[b] = room[b];
}

/// Multiplies the pairs of x by complex factors, p/2 real parts and p/2 imaginary ones; `back` by their conjugates.
template <class T> void turn(const T* factors, bool back, T* x, std::ptrdiff_t p) {
  const std::ptrdiff_t half = p / 2;
  const T* cosine = factors;
  const T* sine = factors + half;
  const T sign = back ? T(-1) : T(1);
  for (std::ptrdiff_t a = 0; a < half; ++a) {
    const T first = x[a];
    const T second = x[a + half];
    x[a] = first * cosine[a] - sign * second * sine[a];
    x[a + half] = sign * first * sine[a] + second * cosine[a];
  }
}

template <class T> void make_rows(const ScoreRows<T>& s, T* rows, T* room) {
  for (std::ptrdiff_t i = 0; i < s.n; ++i, rows += s.p) {
    shifted_row(s, i, s.metric == nullptr ? rows : room);
    if (s.metric != nullptr) metric_row(s, room, rows);
    if (s.norm) {
      const T r = inverse_rms(s, rows) * s.factor;
      for (std::ptrdiff_t c = 0; c < s.p; ++c) rows[c] *= r;
    }
    if (s.pairs != nullptr) turn(s.pairs, false, rows, s.p);
    if (s.turns != nullptr) turn(s.turns + i * s.p, false, rows, s.p);
  }
}

/// g: the gradient of factor * x / rms becomes that of x. With h = x / rms: d_x = (g - h (h.g) / p) factor / rms.
template <class T> void unmake_norm(const ScoreRows<T>& s, T* x, T* g, T* d_factor) {
  const T r = inverse_rms(s, x);
  for (std::ptrdiff_t c = 0; c < s.p; ++c) x[c] *= r;
  const T along = dot_product(x, g, s.p);
  *d_factor += along;
  const T mean = along / T(s.p);
  for (std::ptrdiff_t c = 0; c < s.p; ++c) g[c] = (g[c] - x[c] * mean) * r * s.factor;
}

/// g: the gradient of the rows after the factors becomes that of x, the row before them; theirs is added to d_pairs.
template <class T> void unmake_pairs(const ScoreRows<T>& s, const T* x, T scale, T* g, T* d_pairs) {
  const std::ptrdiff_t half = s.p / 2;
  for (std::ptrdiff_t a = 0; a < half; ++a) {
    d_pairs[a] += (g[a] * x[a] + g[a + half] * x[a + half]) * scale;
    d_pairs[a + half] += (g[a + half] * x[a] - g[a] * x[a + half]) * scale;
  }
  turn(s.pairs, true, g, s.p);
}

template <class T>
void unmake_rows(const ScoreRows<T>& s, const T* d_rows, T* d_w, const ScoreRowGrads<T>& d, T* room) {
  T* raw = room;
  T* g = room + s.p;
  T* x = s.metric == nullptr ? raw : room + 2 * s.p;
  for (std::ptrdiff_t i = 0; i < s.n; ++i) {
    for (std::ptrdiff_t c = 0; c < s.p; ++c) g[c] = d_rows[i * s.p + c];
    if (s.turns != nullptr) turn(s.turns + i * s.p, true, g, s.p);
    shifted_row(s, i, raw);
    if (s.metric != nullptr) metric_row(s, raw, x);
    if (s.pairs != nullptr) unmake_pairs(s, x, s.norm ? inverse_rms(s, x) * s.factor : T(1), g, d.pairs);
    if (s.norm) unmake_norm(s, x, g, d.factor);
    if (s.metric != nullptr) unmake_metric(s, raw, g, d.metric, x);
    T* to = d_w + i * s.p;
    for (std::ptrdiff_t c = 0; c < s.p; ++c) to[c] += g[c];
    if (s.shift == nullptr || i == 0) continue;
    const T* before = s.w.at + (i - 1) * s.w.stride;
    for (std::ptrdiff_t c = 0; c < s.p; ++c) to[c - s.p] += s.shift[c] * g[c];
    for (std::ptrdiff_t c = 0; c < s.p; ++c) d.shift[c] += before[c] * g[c];
  }
}

template <class T> void exclude_rows(std::ptrdiff_t n, std::ptrdiff_t p, HeadRows<T> w, HeadOut<T> y, T* along) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const T* wi = w.at + i * w.stride;
    T* yi = y.at + i * y.stride;
    along[i] = dot_product(yi, wi, p) / (dot_product(wi, wi, p) + T(exclude_eps));
    for (std::ptrdiff_t c = 0; c < p; ++c) yi[c] -= along[i] * wi[c];
  }
}

/// d_y = d_z - w (w.d_z) / N and d_w += -a d_z - (w.d_z) / N (y - 2 a w), N = |w|^2 + 1e-12.
template <class T>
void unexclude_rows(std::ptrdiff_t n, std::ptrdiff_t p, HeadRows<T> w, HeadRows<T> z, const T* along, HeadRows<T> d_z,
                    T* y, T* d_y, T* d_w) {
  for (std::ptrdiff_t i = 0; i < n; ++i, y += p, d_y += p, d_w += p) {
    const T* wi = w.at + i * w.stride;
    const T* zi = z.at + i * z.stride;
    const T* gi = d_z.at + i * d_z.stride;
    const T a = along[i];
    const T b = dot_product(wi, gi, p) / (dot_product(wi, wi, p) + T(exclude_eps));
    for (std::ptrdiff_t c = 0; c < p; ++c) {
      y[c] = zi[c] + a * wi[c];
      d_y[c] = gi[c] - b * wi[c];
      d_w[c] -= a * gi[c] + b * (zi[c] - a * wi[c]);
    }
  }
}

template <class T> void put_rows(std::ptrdiff_t n, std::ptrdiff_t p, const T* from, HeadOut<T> to, bool add) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t c = 0; c < p; ++c) {
      T& x = to.at[i * to.stride + c];
      x = add ? x + from[i * p + c] : from[i * p + c];
    }
  }
}

template <class T> constexpr ScoreRowKernels<T> score_row_kernels() {
  return {make_rows<T>, unmake_rows<T>, exclude_rows<T>, unexclude_rows<T>, put_rows<T>};
}

}  // namespace crate
