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

/// The row after the shift: where it lies if there is none, else in `room`.
inline const float* shifted(const ScoreRows<float>& s, Index i, float* room) {
  const float* w = s.w.at + i * s.w.stride;
  if (s.shift == nullptr || i == 0) return w;
  copy_scaled(w, 1.0F, room, s.p);
  add_products(s.shift, w - s.w.stride, room, s.p);
  return room;
}

// Rows that a metric's matrix, or the sums of its gradient, are loaded for at once.
inline constexpr int few = simd::registers == 32 ? 8 : 4;
static_assert(few <= score_rows_at_once);

/// to (rows, p) = x M for `width` vectors of columns.
template <int rows, int width> inline void product_columns(const float* const* x, const float* m, float* to, Index p) {
  Vec sums[rows][width] = {};
  for (Index r = 0; r < p; ++r, m += p) {
    for (int v = 0; v < width; ++v) {
      const Vec y = simd::load(m + v * lanes);
      for (int i = 0; i < rows; ++i) sums[i][v] = y * x[i][r] + sums[i][v];
    }
  }
  for (int i = 0; i < rows; ++i)
    for (int v = 0; v < width; ++v) simd::store(to + i * p + v * lanes, sums[i][v]);
}

template <int rows> inline void product_rows(const float* const* x, const float* m, float* to, Index p) {
  // A row alone has a chain a vector and no other to hide its latency.
  constexpr int wide = rows > 1 ? 2 : lanes == 16 ? 4 : 8;
  Index c = 0;
  for (; c + wide * lanes <= p; c += wide * lanes) product_columns<rows, wide>(x, m + c, to + c, p);
  for (; c + 2 * lanes <= p; c += 2 * lanes) product_columns<rows, 2>(x, m + c, to + c, p);
  for (; c + lanes <= p; c += lanes) product_columns<rows, 1>(x, m + c, to + c, p);
  for (; c < p; ++c) {
    for (int i = 0; i < rows; ++i) {
      float sum = 0;
      for (Index r = 0; r < p; ++r) sum += x[i][r] * m[r * p + c];
      to[i * p + c] = sum;
    }
  }
}

/// to (count, p) = the rows x times M (p, p), count <= few; `to` holds none of x.
inline void rows_product(const float* const* x, Index count, const float* m, float* to, Index p) {
  if (count == few) return product_rows<few>(x, m, to, p);
  for (Index i = 0; i < count; ++i) product_rows<1>(x + i, m, to + i * p, p);
}

/// sums (p, p) += x' y for count <= few rows, those of y p apart.
inline void add_outer(const float* const* x, const float* y, Index count, float* sums, Index p) {
  for (Index r = 0; r < p; ++r, sums += p) {
    Index c = 0;
    for (; c + lanes <= p; c += lanes) {
      Vec sum = simd::load(sums + c);
      for (Index i = 0; i < count; ++i) sum = simd::load(y + i * p + c) * x[i][r] + sum;
      simd::store(sums + c, sum);
    }
    for (; c < p; ++c)
      for (Index i = 0; i < count; ++i) sums[c] += x[i][r] * y[i * p + c];
  }
}

/// Rows `first` on, at most few, on their way to being compared: after the shift, and after the metric.
struct FewRows {
  const float *raw[few], *x[few];
  Index count;

  /// `room` and `products` hold few p numbers each, for rows that do not lie anywhere else.
  FewRows(const ScoreRows<float>& s, Index first, float* room, float* products)
      : count(s.n - first < few ? s.n - first : few) {
    for (Index i = 0; i < count; ++i) x[i] = raw[i] = shifted(s, first + i, room + i * s.p);
    if (s.metric == nullptr) return;
    rows_product(raw, count, s.metric, products, s.p);
    for (Index i = 0; i < count; ++i) x[i] = products + i * s.p;
  }
};

inline float over_rms(const ScoreRows<float>& s, const float* x) {
  return 1.0F / __builtin_sqrtf(dot_rows(x, x, s.p) / static_cast<float>(s.p) + static_cast<float>(s.eps));
}

/// to = row i from x, what shift and metric made of it; in place if need be.
inline void finish_row(const ScoreRows<float>& s, Index i, const float* x, float* to) {
  float factor = s.norm ? over_rms(s, x) * s.factor : 1.0F;
  if (s.pairs != nullptr) {
    copy_turned(x, s.pairs, 1.0F, factor, to, s.p);
    x = to;
    factor = 1.0F;
  }
  if (s.turns != nullptr) {
    copy_turned(x, s.turns + i * s.p, 1.0F, factor, to, s.p);
  } else {
    copy_scaled(x, factor, to, s.p);
  }
}

inline void make_rows(const ScoreRows<float>& s, float* rows, float* room) {
  for (Index first = 0; first < s.n; first += few) {
    float* to = rows + first * s.p;
    const FewRows block(s, first, room, to);
    for (Index i = 0; i < block.count; ++i) finish_row(s, first + i, block.x[i], to + i * s.p);
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

/// g = the gradient of x, with d_row that of row i; adds what norm and pairs learn.
inline void unfinish_row(const ScoreRows<float>& s, Index i, const float* d_row, const float* x, float* g,
                         const ScoreRowGrads<float>& d) {
  if (s.turns != nullptr) {
    copy_turned(d_row, s.turns + i * s.p, -1.0F, 1.0F, g, s.p);
  } else {
    copy_scaled(d_row, 1.0F, g, s.p);
  }
  const float r = s.norm ? over_rms(s, x) : 1.0F;
  if (s.pairs != nullptr) {
    add_pair_products(g, x, s.norm ? r * s.factor : 1.0F, d.pairs, s.p);
    copy_turned(g, s.pairs, -1.0F, 1.0F, g, s.p);
  }
  if (!s.norm) return;
  const float along = dot_rows(x, g, s.p) * r;
  *d.factor += along;
  copy_scaled(g, r * s.factor, g, s.p);
  add_scaled(x, -r * r * s.factor * along / static_cast<float>(s.p), g, s.p);
}

inline void unmake_rows(const ScoreRows<float>& s, const float* d_rows, float* d_w, const ScoreRowGrads<float>& d,
                        float* room) {
  const Index p = s.p;
  float *products = room + few * p, *grads = products + few * p, *transpose = grads + few * p;
  for (Index r = 0; s.metric != nullptr && r < p; ++r)
    for (Index c = 0; c < p; ++c) transpose[c * p + r] = s.metric[r * p + c];
  for (Index first = 0; first < s.n; first += few) {
    const FewRows block(s, first, room, products);
    const float* g[few];
    for (Index i = 0; i < block.count; ++i) {
      unfinish_row(s, first + i, d_rows + (first + i) * p, block.x[i], grads + i * p, d);
      g[i] = grads + i * p;
    }
    if (s.metric != nullptr) {
      add_outer(block.raw, grads, block.count, d.metric, p);
      rows_product(g, block.count, transpose, products, p);
    }
    for (Index k = 0; k < block.count; ++k) {
      const Index i = first + k;
      const float* d_raw = (s.metric != nullptr ? products : grads) + k * p;
      add_scaled(d_raw, 1.0F, d_w + i * p, p);
      if (s.shift == nullptr || i == 0) continue;
      add_products(s.shift, d_raw, d_w + (i - 1) * p, p);
      add_products(s.w.at + (i - 1) * s.w.stride, d_raw, d.shift, p);
    }
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
