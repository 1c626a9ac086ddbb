// score_rows_kernel: the loops of ops/score_rows.h in float, compiled once per instruction set (see tensor/simd.h).
// Whole vectors first, what is left of a row one by one. ops/score_rows_loops.h says the same without vectors.
#pragma once
#include "ops/score_rows.h"
#include "tensor/simd.h"

namespace crate::attend {
namespace {

using simd::lanes;
using simd::Vec;
using Index = std::ptrdiff_t;

inline float dot_rows(const float* a, const float* b, Index p) {
  Vec sums{};
  Index c = 0;
  for (; c + lanes <= p; c += lanes) sums = simd::load(a + c) * simd::load(b + c) + sums;
  float sum = simd::sum(sums);
  for (; c < p; ++c) sum += a[c] * b[c];
  return sum;
}

/// y += factor * x
inline void add_scaled(const float* x, float factor, float* y, Index p) {
  Index c = 0;
  for (; c + lanes <= p; c += lanes) simd::store(y + c, simd::load(x + c) * factor + simd::load(y + c));
  for (; c < p; ++c) y[c] += x[c] * factor;
}

/// z += x * y
inline void add_products(const float* x, const float* y, float* z, Index p) {
  Index c = 0;
  for (; c + lanes <= p; c += lanes) simd::store(z + c, simd::load(x + c) * simd::load(y + c) + simd::load(z + c));
  for (; c < p; ++c) z[c] += x[c] * y[c];
}

inline void copy_scaled(const float* x, float factor, float* y, Index p) {
  Index c = 0;
  for (; c + lanes <= p; c += lanes) simd::store(y + c, simd::load(x + c) * factor);
  for (; c < p; ++c) y[c] = x[c] * factor;
}

/// to = factor * x, its pairs turned by the cosines and sign * the sines.
inline void copy_turned(const float* x, const float* turns, float sign, float factor, float* to, Index p) {
  const Index half = p / 2;
  Index a = 0;
  for (; a + lanes <= half; a += lanes) {
    const Vec cosine = simd::load(turns + a) * factor;
    const Vec sine = simd::load(turns + half + a) * (sign * factor);
    const Vec first = simd::load(x + a);
    const Vec second = simd::load(x + half + a);
    simd::store(to + a, first * cosine - second * sine);
    simd::store(to + half + a, first * sine + second * cosine);
  }
  for (; a < half; ++a) {
    const float cosine = turns[a] * factor;
    const float sine = turns[half + a] * (sign * factor);
    const float first = x[a];
    const float second = x[half + a];
    to[a] = first * cosine - second * sine;
    to[half + a] = first * sine + second * cosine;
  }
}

/// The row after the shift: in place where there is none, else in `room`.
inline const float* shifted(const ScoreRows<float>& s, Index i, float* room) {
  const float* w = s.w.at + i * s.w.stride;
  if (s.shift == nullptr || i == 0) return w;
  copy_scaled(w, 1.0F, room, s.p);
  add_products(s.shift, w - s.w.stride, room, s.p);
  return room;
}

/// to = x M for columns c .. c + width vectors; even and odd rows of M are summed apart, so that sums need not wait.
template <int width> inline void product_columns(const float* x, const float* m, float* to, Index p) {
  Vec even[width] = {}, odd[width] = {};
  Index r = 0;
  for (; r + 2 <= p; r += 2, m += 2 * p) {
    for (int v = 0; v < width; ++v) {
      even[v] = simd::load(m + v * lanes) * x[r] + even[v];
      odd[v] = simd::load(m + p + v * lanes) * x[r + 1] + odd[v];
    }
  }
  for (int v = 0; v < width && r < p; ++v) even[v] = simd::load(m + v * lanes) * x[r] + even[v];
  for (int v = 0; v < width; ++v) simd::store(to + v * lanes, even[v] + odd[v]);
}

/// to (p) = x M, M (p, p); `to` is not x.
inline void row_product(const float* x, const float* m, float* to, Index p) {
  Index c = 0;
  for (; c + 4 * lanes <= p; c += 4 * lanes) product_columns<4>(x, m + c, to + c, p);
  for (; c + 2 * lanes <= p; c += 2 * lanes) product_columns<2>(x, m + c, to + c, p);
  for (; c + lanes <= p; c += lanes) product_columns<1>(x, m + c, to + c, p);
  for (; c < p; ++c) {
    float sum = 0;
    for (Index r = 0; r < p; ++r) sum += x[r] * m[r * p + c];
    to[c] = sum;
  }
}

/// The row after shift and metric: where it lies, or in `room`, 2 p numbers, of which the first p keep the row before
/// the metric.
inline const float* compared(const ScoreRows<float>& s, Index i, float* room) {
  const float* x = shifted(s, i, room);
  if (s.metric == nullptr) return x;
  row_product(x, s.metric, room + s.p, s.p);
  return room + s.p;
}

inline float over_rms(const ScoreRows<float>& s, const float* x) {
  return 1.0F / __builtin_sqrtf(dot_rows(x, x, s.p) / static_cast<float>(s.p) + static_cast<float>(s.eps));
}

inline void make_rows(const ScoreRows<float>& s, float* rows, float* room) {
  for (Index i = 0; i < s.n; ++i, rows += s.p) {
    const float* x = compared(s, i, room);
    float factor = s.norm ? over_rms(s, x) * s.factor : 1.0F;
    if (s.pairs != nullptr) {
      copy_turned(x, s.pairs, 1.0F, factor, rows, s.p);
      x = rows;
      factor = 1.0F;
    }
    if (s.turns != nullptr) {
      copy_turned(x, s.turns + i * s.p, 1.0F, factor, rows, s.p);
    } else {
      copy_scaled(x, factor, rows, s.p);
    }
  }
}

/// d_r += g_a x_a + g_b x_b and d_s += g_b x_a - g_a x_b, times factor.
inline void add_pair_products(const float* g, const float* x, float factor, float* d_pairs, Index p) {
  const Index half = p / 2;
  Index a = 0;
  for (; a + lanes <= half; a += lanes) {
    const Vec first = simd::load(x + a) * factor;
    const Vec second = simd::load(x + half + a) * factor;
    const Vec d_first = simd::load(g + a);
    const Vec d_second = simd::load(g + half + a);
    simd::store(d_pairs + a, simd::load(d_pairs + a) + d_first * first + d_second * second);
    simd::store(d_pairs + half + a, simd::load(d_pairs + half + a) + d_second * first - d_first * second);
  }
  for (; a < half; ++a) {
    d_pairs[a] += (g[a] * x[a] + g[half + a] * x[half + a]) * factor;
    d_pairs[half + a] += (g[half + a] * x[a] - g[a] * x[half + a]) * factor;
  }
}

inline void unmake_rows(const ScoreRows<float>& s, const float* d_rows, float* d_w, const ScoreRowGrads<float>& d,
                        float* room) {
  float* g = room + 2 * s.p;
  float* turned = g + s.p;  // the metric's transpose
  for (Index i = 0; s.metric != nullptr && i < s.p * s.p; ++i) turned[i % s.p * s.p + i / s.p] = s.metric[i];
  for (Index i = 0; i < s.n; ++i, d_rows += s.p, d_w += s.p) {
    if (s.turns != nullptr) {
      copy_turned(d_rows, s.turns + i * s.p, -1.0F, 1.0F, g, s.p);
    } else {
      copy_scaled(d_rows, 1.0F, g, s.p);
    }
    const float* x = s.norm || s.pairs != nullptr || s.metric != nullptr ? compared(s, i, room) : nullptr;
    const float r = s.norm ? over_rms(s, x) : 1.0F;
    if (s.pairs != nullptr) {
      add_pair_products(g, x, s.norm ? r * s.factor : 1.0F, d.pairs, s.p);
      copy_turned(g, s.pairs, -1.0F, 1.0F, g, s.p);
    }
    if (s.norm) {
      const float along = dot_rows(x, g, s.p) * r;
      *d.factor += along;
      copy_scaled(g, r * s.factor, g, s.p);
      add_scaled(x, -r * r * s.factor * along / static_cast<float>(s.p), g, s.p);
    }
    if (s.metric != nullptr) {
      const float* raw = s.shift == nullptr || i == 0 ? s.w.at + i * s.w.stride : room;
      for (Index r = 0; r < s.p; ++r) add_scaled(g, raw[r], d.metric + r * s.p, s.p);
      row_product(g, turned, room + s.p, s.p);
      copy_scaled(room + s.p, 1.0F, g, s.p);
    }
    add_scaled(g, 1.0F, d_w, s.p);
    if (s.shift == nullptr || i == 0) continue;
    add_products(s.shift, g, d_w - s.p, s.p);
    add_products(s.w.at + (i - 1) * s.w.stride, g, d.shift, s.p);
  }
}

inline void exclude_rows(Index n, Index p, HeadRows<float> w, HeadOut<float> y, float* along) {
  for (Index i = 0; i < n; ++i) {
    const float* wi = w.at + i * w.stride;
    float* yi = y.at + i * y.stride;
    along[i] = dot_rows(yi, wi, p) / (dot_rows(wi, wi, p) + static_cast<float>(exclude_eps));
    add_scaled(wi, -along[i], yi, p);
  }
}

inline void unexclude_rows(Index n, Index p, HeadRows<float> w, HeadRows<float> z, const float* along,
                           HeadRows<float> d_z, float* y, float* d_y, float* d_w) {
  for (Index i = 0; i < n; ++i, y += p, d_y += p, d_w += p) {
    const float* wi = w.at + i * w.stride;
    const float* zi = z.at + i * z.stride;
    const float* gi = d_z.at + i * d_z.stride;
    const float b = dot_rows(wi, gi, p) / (dot_rows(wi, wi, p) + static_cast<float>(exclude_eps));
    copy_scaled(zi, 1.0F, y, p);
    add_scaled(wi, along[i], y, p);
    copy_scaled(gi, 1.0F, d_y, p);
    add_scaled(wi, -b, d_y, p);
    add_scaled(gi, -along[i], d_w, p);  // y - 2 a w = z - a w
    add_scaled(zi, -b, d_w, p);
    add_scaled(wi, b * along[i], d_w, p);
  }
}

inline void put_rows(Index n, Index p, const float* from, HeadOut<float> to, bool add) {
  for (Index i = 0; i < n; ++i, from += p) {
    float* row = to.at + i * to.stride;
    if (add) {
      add_scaled(from, 1.0F, row, p);
    } else {
      copy_scaled(from, 1.0F, row, p);
    }
  }
}

}  // namespace
}  // namespace crate::attend
