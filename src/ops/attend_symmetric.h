// attend_symmetric: attention whose queries are its keys and which sees both ways, compiled once per instruction set.
#pragma once
#include "ops/attend_tile.h"

namespace crate::attend {
namespace {

inline constexpr Index side = 192;               // rows and columns of a tile, whole panels and groups
inline constexpr Index side_stride = side + 16;  // odd in cache lines
inline constexpr Index deep = 96;                // rows of a factor that stay in the first cache during a product

static_assert(side % panel == 0 && side % group == 0 && deep % group == 0);
static_assert(side <= TileLimits::side && side_stride <= TileLimits::side_stride);

/// A tile on the diagonal or right of it; rows and columns count from the head's first.
struct Square {
  Index row0, rows, col0, cols;
  bool diagonal() const { return row0 == col0; }
};

/// f(square) for all tiles of n rows, f_row(row0, rows) after each row of tiles.
template <class F> void for_squares(Index n, F&& f) {
  for (Index row0 = 0; row0 < n; row0 += side) {
    for (Index col0 = row0; col0 < n; col0 += side) f(Square{row0, least(side, n - row0), col0, least(side, n - col0)});
  }
}

/// A register block: `group` rows from r, `vecs` vectors from column j; is any of it on the diagonal or outside?
struct Block {
  Index r, j, vecs;
  bool edge;
};

/// f(block) for the blocks of a tile with anything on the diagonal or right of it.
template <class F> void for_blocks(const Square& t, F&& f) {
  for (Index j = 0; j < t.cols; j += panel) {
    const Index end = t.diagonal() ? least(t.rows, j + panel) : t.rows;
    for (Index r = 0; r < end; r += group) {
      const Index from = t.diagonal() && r > j ? j + (r - j) / lanes * lanes : j;
      const Index to = least(j + panel, round_up(t.cols, lanes));
      if (from >= to) continue;
      f(Block{r, from, (to - from) / lanes, to > t.cols || (t.diagonal() && from < r + group)});
    }
  }
}

/// x right of the diagonal, half of it on the diagonal, 0 left of it and from lane `cols` on; `row` is the lane of the
/// diagonal.
[[gnu::always_inline]] inline Vec above(Vec x, Index row, Index cols) {
  simd::IntVec lane;
  for (int i = 0; i < lanes; ++i) lane[i] = i;
  const simd::IntVec diagonal = lane - static_cast<std::int32_t>(row);
  x = diagonal == 0 ? x * 0.5F : x;
  return (diagonal >= 0) & (lane < static_cast<std::int32_t>(cols)) ? x : Vec{};
}

/// c of the block = or += rows a times the panels.
template <bool add>
void block_product(const Square& t, const Block& at, Index p, const float* a, const float* panels, float* c) {
  const Index pp = round_up(p, lanes);
  const Index column = t.col0 + at.j;
  const float* b = panels + column / panel * panel * p + column % panel;
  product<add>(at.vecs, p, a + (t.row0 + at.r) * pp, pp, 1, b, panel, c + at.r * side_stride + at.j, side_stride);
}

/// Scores of a block -> E.
template <bool edge> void weigh(const Square& t, const Block& at, float shift, float* e) {
  for (Index v = 0; v < at.vecs; ++v) {
    const Index j = at.j + v * lanes;
#pragma GCC unroll 6
    for (Index i = 0; i < group; ++i) {
      float* x = e + (at.r + i) * side_stride + j;
      Vec y = simd::exp2(simd::load(x) - shift);
      if constexpr (edge) y = above(y, t.diagonal() ? at.r + i - j : -1, t.cols - j);
      simd::store(x, y);
    }
  }
}

/// E of a block added to the sums of its rows (a vector each) and of its columns.
inline void add_totals(const Block& at, const float* e, float* row_totals, float* column_totals) {
  e += at.r * side_stride + at.j;
  Vec rows[group];
#pragma GCC unroll 6
  for (Index i = 0; i < group; ++i) rows[i] = simd::load(row_totals + (at.r + i) * lanes);
  for (Index v = 0; v < at.vecs; ++v, e += lanes) {
    Vec column = simd::load(column_totals + at.j + v * lanes);
#pragma GCC unroll 6
    for (Index i = 0; i < group; ++i) {
      const Vec x = simd::load(e + i * side_stride);
      rows[i] += x;
      column += x;
    }
    simd::store(column_totals + at.j + v * lanes, column);
  }
#pragma GCC unroll 6
  for (Index i = 0; i < group; ++i) simd::store(row_totals + (at.r + i) * lanes, rows[i]);
}

/// c of the tile's rows += the tile times b of its columns.
inline void gather(const Square& t, const float* tile, const float* b, Index width, float* c) {
  for (Index from = 0; from < t.cols; from += deep) {
    const Index to = least(from + deep, t.cols);
    for (Index r = 0; r < (t.diagonal() ? least(to, t.rows) : t.rows); r += group) {
      const Index first = t.diagonal() && r > from ? r : from;
      add_product(to - first, tile + r * side_stride + first, side_stride, 1, b + (t.col0 + first) * width,
                  c + (t.row0 + r) * width, width);
    }
  }
}

/// c of the tile's columns += the tile's transpose times b of its rows.
inline void scatter(const Square& t, const float* tile, const float* b, Index width, float* c) {
  for (Index from = 0; from < t.rows; from += deep) {
    for (Index j = t.diagonal() ? from : 0; j < t.cols; j += group) {
      const Index to = least(from + deep, t.diagonal() ? least(t.rows, j + group) : t.rows);
      add_product(to - from, tile + from * side_stride + j, 1, side_stride, b + (t.row0 + from) * width,
                  c + (t.col0 + j) * width, width);
    }
  }
}

/// The least and the largest |row|^2; NaN when any is.
struct Norms {
  float least = __builtin_inff(), largest = 0.0F;
};
inline Norms norms_of(Rows rows, Index n, Index p) {
  Norms norms;
  float total = 0.0F;
  for (Index i = 0; i < n; ++i) {
    const float* x = rows.at + i * rows.stride;
    Vec dot{};
    Index c = 0;
    for (; c + lanes <= p; c += lanes) dot = simd::load(x + c) * simd::load(x + c) + dot;
    if (c < p) dot = simd::load_first(x + c, p - c) * simd::load_first(x + c, p - c) + dot;
    const float square = simd::sum(dot);
    norms.least = square < norms.least ? square : norms.least;
    norms.largest = square > norms.largest ? square : norms.largest;
    total += square;
  }
  if (total != total) norms.largest = total;
  return norms;
}

/// Where the scores lie: E_ij = 2^(s_ij - shift).
struct Window {
  bool fits;
  float shift;
};
inline Window window_of(const AttendShape& s, Norms keys, float largest_product) {
  constexpr float most_spread = 96.0F;
  constexpr float most_score = 4194304.0F;        // 2^22
  constexpr float most_product = 1.15292150e18F;  // 2^60
  const float factor = score_factor(s);
  const float top = factor * keys.largest;
  const float bottom = factor * keys.least;
  const bool fits = factor >= 0.0F && top - bottom <= most_spread && static_cast<float>(s.p) * top <= most_score &&
                    largest_product <= most_product;
  return {fits, 0.5F * (top + bottom)};
}

inline bool is_symmetric(const AttendShape& s, Rows q, Rows k) {
  return !s.causal && s.n_q == s.n_k && q.at == k.at && q.stride == k.stride;
}

inline bool one(Rows a, Rows b) { return a.at == b.at && a.stride == b.stride; }

/// o and lse, or false when the rows' norms are too far apart.
inline bool forward_symmetric(const AttendShape& s, Rows k, Rows v, Out o, float* lse, Scratch room) {
  const Index n = s.n_k;
  const Index pp = round_up(s.p, lanes);
  const Norms norms = norms_of(k, n, s.p);
  const Norms sizes = one(k, v) ? norms : norms_of(v, n, s.p);
  const Window window = window_of(s, norms, static_cast<float>(n) * __builtin_sqrtf(sizes.largest));
  if (!window.fits) return false;
  const Index padding = round_up(n, group) - n;
  float* keys = room.take((n + group) * pp);
  float* panels = room.take(round_up(n, panel) * s.p);
  pack_rows(k, n, padding, s.p, 1.0F, keys);
  pack_panels(keys, n, s.p, score_factor(s), panels);
  const float* values = keys;
  if (!one(k, v)) {
    float* packed = room.take((n + group) * pp);
    pack_rows(v, n, padding, s.p, 1.0F, packed);
    values = packed;
  }
  float* tile = room.take(side * side_stride);
  float* sums = room.take_zeros((n + group) * pp);
  float* totals = room.take_zeros(round_up(n, panel));
  float* row_totals = room.take(side * lanes);
  for_squares(n, [&](const Square& t) {
    if (t.diagonal()) __builtin_memset(row_totals, 0, side * lanes * sizeof(float));
    for_blocks(t, [&](const Block& at) {
      block_product<false>(t, at, s.p, keys, panels, tile);
      at.edge ? weigh<true>(t, at, window.shift, tile) : weigh<false>(t, at, window.shift, tile);
      add_totals(at, tile, row_totals, totals + t.col0);
    });
    gather(t, tile, values, pp, sums);
    scatter(t, tile, values, pp, sums);
    if (t.col0 + side < n) return;
    for (Index r = 0; r < t.rows; ++r) totals[t.row0 + r] += simd::sum(simd::load(row_totals + r * lanes));
  });
  for (Index i = 0; i < n; ++i) {
    scale_row(sums + i * pp, pp, 1.0F / totals[i]);
    lse[i] = window.shift * ln_2 + __builtin_logf(totals[i]);
  }
  unpack_rows(sums, n, s.p, o, false);
  return true;
}

/// Slopes of a block from E and the products: E (products - c_i - c_j) ln 2.
inline void slope(const Square& t, const Block& at, const float* c, const float* e, float* products) {
  for (Index v = 0; v < at.vecs; ++v) {
    const Index j = at.j + v * lanes;
    const Vec of_column = simd::load(c + t.col0 + j);
#pragma GCC unroll 6
    for (Index i = 0; i < group; ++i) {
      const Index x = (at.r + i) * side_stride + j;
      const Vec y = simd::load(products + x) - of_column - c[t.row0 + at.r + i];
      simd::store(products + x, y * (simd::load(e + x) * ln_2));
    }
  }
}

/// Inputs of the backward pass, packed: rows, and panels times the factor of the scores.
struct SymmetricPacked {
  float *keys, *key_panels, *values, *value_panels;  // values are the keys where the caller's are
  float *grads, *grad_panels;                        // d_o_i / total_i
  float* along;                                      // d_o_i.o_i / total_i, times the factor
};

inline SymmetricPacked pack_symmetric(const AttendShape& s, const AttendSaved<float>& saved, float shift,
                                      Scratch& room) {
  const Index n = s.n_k;
  const Index pp = round_up(s.p, lanes);
  const float factor = score_factor(s);
  const auto pack = [&](Rows from, float*& rows, float*& panels) {
    rows = room.take((n + group) * pp);
    panels = room.take(round_up(n, panel) * s.p);
    pack_rows(from, n, round_up(n, group) - n, s.p, 1.0F, rows);
  };
  SymmetricPacked at{};
  pack(saved.k, at.keys, at.key_panels);
  pack_panels(at.keys, n, s.p, factor, at.key_panels);
  at.values = at.keys;
  at.value_panels = at.key_panels;
  if (!one(saved.k, saved.v)) {
    pack(saved.v, at.values, at.value_panels);
    pack_panels(at.values, n, s.p, factor, at.value_panels);
  }
  pack(saved.d_o, at.grads, at.grad_panels);
  at.along = room.take_zeros(round_up(n, panel) + group);
  for (Index i = 0; i < n; ++i) {
    const float of_total = simd::exp2(simd::splat(shift - saved.lse[i] * log2_e))[0];
    scale_row(at.grads + i * pp, pp, of_total);
    at.along[i] = factor * dot_row(at.grads + i * pp, saved.o.at + i * saved.o.stride, s.p);
  }
  pack_panels(at.grads, n, s.p, factor, at.grad_panels);
  return at;
}

/// The gradients, or false when the rows' norms are too far apart. d_q and d_k are one tensor.
inline bool backward_symmetric(const AttendShape& s, const AttendSaved<float>& saved, const AttendGrads<float>& grads,
                               Scratch room) {
  const Index n = s.n_k;
  const Index pp = round_up(s.p, lanes);
  const Norms norms = norms_of(saved.k, n, s.p);
  const Norms sizes = one(saved.k, saved.v) ? norms : norms_of(saved.v, n, s.p);
  const Norms grad_sizes = norms_of(saved.d_o, n, s.p);
  const Window window = window_of(s, norms, __builtin_sqrtf(sizes.largest) * __builtin_sqrtf(grad_sizes.largest));
  if (!window.fits) return false;
  const SymmetricPacked at = pack_symmetric(s, saved, window.shift, room);
  float* tile = room.take(side * side_stride);
  float* slopes = room.take(side * side_stride);
  float* d_k = room.take_zeros((n + group) * pp);
  float* d_v = grads.d_v.at == grads.d_k.at ? d_k : room.take_zeros((n + group) * pp);
  for_squares(n, [&](const Square& t) {
    for_blocks(t, [&](const Block& b) {
      block_product<false>(t, b, s.p, at.keys, at.key_panels, tile);
      b.edge ? weigh<true>(t, b, window.shift, tile) : weigh<false>(t, b, window.shift, tile);
      block_product<false>(t, b, s.p, at.grads, at.value_panels, slopes);
      block_product<true>(t, b, s.p, at.values, at.grad_panels, slopes);
      slope(t, b, at.along, tile, slopes);
    });
    gather(t, slopes, at.keys, pp, d_k);
    scatter(t, slopes, at.keys, pp, d_k);
    gather(t, tile, at.grads, pp, d_v);
    scatter(t, tile, at.grads, pp, d_v);
  });
  unpack_rows(d_k, n, s.p, grads.d_k, grads.add_k);
  if (d_v != d_k) unpack_rows(d_v, n, s.p, grads.d_v, grads.add_v);
  return true;
}

}  // namespace
}  // namespace crate::attend
