// attend_symmetric: attention whose queries are the keys and see both ways, at three quarters of the products and half
// of the exponentials of the general form. Compiled once per instruction set (see tensor/simd.h).
//
// With scores in base 2, s_ij = f w_i.w_j, f = scale log2(e) > 0, and one shift for the whole head, the matrix
//   E_ij = 2^(s_ij - shift) = E_ji       P_ij = E_ij / t_i      t_i = sum_j E_ij      o_i = sum_j E_ij v_j / t_i
// is symmetric: a Gaussian kernel, 2^(-f |w_i - w_j|^2 / 2), times a factor a row and a factor a column. A tile left of
// the diagonal is computed once, without a running maximum, and used twice: as it stands for the later tokens,
// transposed for the earlier ones (3 products where two tiles of the general form take 4). Diagonal entries are halved,
// because they are used twice too. Backward, with g_i = d_o_i / t_i and c_i = g_i.o_i:
//   d_v = E g       M_ij = scale E_ij (g_i.v_j + v_i.g_j - c_i - c_j)       d_k + d_q = M w
// where M = dS + dS^T scaled is symmetric as well: 7 products (1 for E, 2 summed in place for M, 4) where two tiles of
// the general form take 10. With q = k = v all of them are sums into one tensor.
//
// The guard. T and B are the largest and the least s_ii, shift = (T + B) / 2. The form is used when
//   T - B <= 96,   p T <= 2^22,   2^-20 <= f <= 2^20,   n max|v| <= 2^50  (backward: max|v| max|d_o| <= 2^50)
// and then it is as exact as the general form. The second bound keeps the rounding of a score, at most p 2^-23 T, and
// that of T and B below 1/2 each. So s_ij <= |w_i||w_j| f <= T (Cauchy-Schwarz) gives E_ij <= 2^49 and s_ii >= B gives
// t_i >= E_ii >= 2^-49. Nothing overflows: sums stay below n 2^49 max|v|, products f g_i.v_j below 2^119, and
// E_ij |g_i| <= |d_o_i|. Nothing that counts is lost: 2^x is 0 below 2^-126, which is 2^-77 of t_i; a product that is
// no normal number any more loses 2^-149, which division by t_i or the factor E_ij makes at most 2^-100 (f g_i: 2^-80
// |v_j| of dS). Every other E_ij has the relative error of 2^x at |s_ij - shift| <= 2 T, where the general form has
// that of |s_ij - max_j s_ij| <= 2 T. NaN and infinities fail the comparisons. A head that fails takes the general
// form.
//
// Tried, on a Zen 5 core with AVX-512, forward against the general form, heads of 48 and 64, ratios of the least of 15:
//   square tiles of 192 right of the diagonal   1.21-1.25 at n = 197, 1.25-1.28 at 256. Columns come in vectors of 16:
//                                               5 left over cost every row one; left of it, rows come in groups of 6
//   these tiles, 96 x 384, as the causal mask   1.29-1.34 at n = 197, 1.27-1.32 at 256, 1.34-1.45 from 512 on
//   sums of c added last (see block)            gather and scatter 10% faster, both forms gain; 1.31-1.35 with the next
//   logarithms in vectors                       2% of the time at n = 197
//   totals in the pass of 2^x, not after it     2% at n = 192
//   factors that stay in the first cache        products in depths of 48: slower; of 96 or 192: no difference; tiles of
//                                               192 keys: none either
// Now, forward: 1.29-1.36 at n = 197 and 256, 1.34-1.5 from 512 to 4096, 1.12-1.2 at 50 and 64; backward: 1.21-1.37,
// 1.31-1.49 and 1.03-1.12; with AVX2 the same. The products alone would give 1.33 and 1.43: at small n the diagonal,
// whose register blocks are partly empty, and the packing weigh more.
#pragma once
#include "ops/attend_tile.h"

namespace crate::attend {
namespace {

inline bool is_symmetric(const AttendShape& s, Rows q, Rows k) { return !s.causal && s.n_q == s.n_k && same(q, k); }

/// f(tile) for the tiles left of the diagonal and on it: a query with the keys up to itself. A row of tiles after the
/// other, the one on the diagonal last.
template <class F> void for_tiles(Index n, F&& f) {
  for (Index row0 = 0; row0 < n; row0 += tile_rows) {
    const Index rows = least(tile_rows, n - row0);
    for (Index key0 = 0; key0 < row0 + rows; key0 += tile_keys) {
      f(Tile{row0, rows, key0, least(tile_keys, row0 + rows - key0), true, 0});
    }
  }
}

/// x in the first `seen` lanes, half of it in the lane `diagonal`, 0 in the others.
[[gnu::always_inline]] inline Vec up_to_diagonal(Vec x, Index seen, Index diagonal) {
  simd::IntVec lane;
  for (int i = 0; i < lanes; ++i) lane[i] = i;
  x = lane == static_cast<std::int32_t>(diagonal) ? x * 0.5F : x;
  return lane < static_cast<std::int32_t>(seen) ? x : Vec{};
}

/// Scores of a block -> E, added to the sums of its rows (a vector each) and of its columns.
template <bool edge, bool totals>
void weigh(const Tile& tile, const Block& at, float shift, float* e, float* row_totals, float* column_totals) {
  Vec rows[group];
#pragma GCC unroll 6
  for (Index i = 0; totals && i < group; ++i) rows[i] = simd::load(row_totals + (at.r + i) * lanes);
  for (Index v = 0; v < at.vecs; ++v) {
    const Index j = at.j + v * lanes;
    Vec column = totals ? simd::load(column_totals + j) : Vec{};
#pragma GCC unroll 6
    for (Index i = 0; i < group; ++i) {
      const Index r = at.r + i;
      float* x = e + r * tile_stride + j;
      Vec y = simd::exp2(simd::load(x) - shift);
      if constexpr (edge) {
        y = up_to_diagonal(y, r < tile.rows ? tile.seen(r) - j : 0, tile.row0 + r - tile.key0 - j);
      }
      simd::store(x, y);
      if constexpr (totals) {
        rows[i] += y;
        column += y;
      }
    }
    if constexpr (totals) simd::store(column_totals + j, column);
  }
#pragma GCC unroll 6
  for (Index i = 0; totals && i < group; ++i) simd::store(row_totals + (at.r + i) * lanes, rows[i]);
}

template <bool totals>
void weigh(const Tile& tile, const Block& at, float shift, float* e, float* row_totals, float* column_totals) {
  const bool edge = at.r + group > tile.rows || at.j + at.vecs * lanes > tile.row0 + at.r - tile.key0;
  edge ? weigh<true, totals>(tile, at, shift, e, row_totals, column_totals)
       : weigh<false, totals>(tile, at, shift, e, row_totals, column_totals);
}

/// The least and the largest |row|^2; the largest is NaN when any is.
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

/// The shift of the scores, and whether the guard lets them pass.
struct Window {
  bool fits;
  float shift;
};

inline Window window_of(const AttendShape& s, Norms keys, float largest_product) {
  const float factor = score_factor(s);
  const float top = factor * keys.largest;
  const float bottom = factor * keys.least;
  const bool fits = top - bottom <= 96.0F && static_cast<float>(s.p) * top <= 0x1p22F && factor >= 0x1p-20F &&
                    factor <= 0x1p20F && largest_product <= 0x1p50F;
  return {fits, 0.5F * (top + bottom)};
}

/// o and lse, or false when the rows' norms are too far apart.
inline bool forward_symmetric(const AttendShape& s, Rows k, Rows v, Out o, float* lse, Scratch room) {
  const Index n = s.n_k;
  const Index pp = round_up(s.p, lanes);
  const Norms norms = norms_of(k, n, s.p);
  const Norms sizes = same(k, v) ? norms : norms_of(v, n, s.p);
  const Window window = window_of(s, norms, static_cast<float>(n) * __builtin_sqrtf(sizes.largest));
  if (!window.fits) return false;
  const Index padding = round_up(n, group) - n;
  float* keys = room.take((n + group) * pp);
  float* panels = room.take(round_up(n, panel) * s.p);
  pack_rows(k, n, padding, s.p, 1.0F, keys);
  pack_panels(keys, n, s.p, score_factor(s), panels);
  const float* values = keys;
  if (!same(k, v)) {
    float* packed = room.take((n + group) * pp);
    pack_rows(v, n, padding, s.p, 1.0F, packed);
    values = packed;
  }
  float* weights = room.take(tile_rows * tile_stride);
  float* sums = room.take_zeros((n + group) * pp);
  float* totals = room.take_zeros(round_up(n, panel));
  float* row_totals = room.take(tile_rows * lanes);
  for_tiles(n, [&](const Tile& tile) {
    if (tile.key0 == 0) __builtin_memset(row_totals, 0, tile_rows * lanes * sizeof(float));
    for_blocks(tile, [&](const Block& at) {
      block_product<false>(tile, at, s.p, keys + tile.row0 * pp, panels, weights);
      weigh<true>(tile, at, window.shift, weights, row_totals, totals + tile.key0);
    });
    gather(tile, weights, values + tile.key0 * pp, pp, sums + tile.row0 * pp);
    scatter(tile, weights, values + tile.row0 * pp, pp, sums + tile.key0 * pp);
    if (tile.key0 + tile.keys < tile.row0 + tile.rows) return;
    for (Index r = 0; r < tile.rows; ++r) totals[tile.row0 + r] += simd::sum(simd::load(row_totals + r * lanes));
  });
  for (Index i = 0; i < n; ++i) {
    scale_row(sums + i * pp, pp, 1.0F / totals[i]);
    unpack_rows(sums + i * pp, 1, s.p, {o.at + i * o.stride, o.stride}, false);
  }
  for (Index i = 0; i < n; i += lanes) {
    const Vec logs = (simd::log2(simd::load(totals + i)) + window.shift) * ln_2;
    simd::store_first(lse + i, logs, least(lanes, n - i));
  }
  return true;
}

/// Slopes of a block from E and the products: E (products - c_i - c_j) ln 2.
inline void slope(const Block& at, const float* c_row, const float* c_column, const float* e, float* products) {
  for (Index v = 0; v < at.vecs; ++v) {
    const Index j = at.j + v * lanes;
    const Vec of_column = simd::load(c_column + j);
#pragma GCC unroll 6
    for (Index i = 0; i < group; ++i) {
      const Index x = (at.r + i) * tile_stride + j;
      const Vec y = simd::load(products + x) - of_column - c_row[at.r + i];
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
  if (!same(saved.k, saved.v)) {
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
  const Norms sizes = same(saved.k, saved.v) ? norms : norms_of(saved.v, n, s.p);
  const Norms grad_sizes = norms_of(saved.d_o, n, s.p);
  const Window window = window_of(s, norms, __builtin_sqrtf(sizes.largest) * __builtin_sqrtf(grad_sizes.largest));
  if (!window.fits) return false;
  const SymmetricPacked at = pack_symmetric(s, saved, window.shift, room);
  float* weights = room.take(tile_rows * tile_stride);
  float* slopes = room.take(tile_rows * tile_stride);
  float* d_k = room.take_zeros((n + group) * pp);
  float* d_v = grads.d_v.at == grads.d_k.at ? d_k : room.take_zeros((n + group) * pp);
  for_tiles(n, [&](const Tile& tile) {
    const Index row = tile.row0 * pp;
    const Index column = tile.key0 * pp;
    for_blocks(tile, [&](const Block& b) {
      block_product<false>(tile, b, s.p, at.keys + row, at.key_panels, weights);
      weigh<false>(tile, b, window.shift, weights, nullptr, nullptr);
      block_product<false>(tile, b, s.p, at.grads + row, at.value_panels, slopes);
      block_product<true>(tile, b, s.p, at.values + row, at.grad_panels, slopes);
      slope(b, at.along + tile.row0, at.along + tile.key0, weights, slopes);
    });
    gather(tile, slopes, at.keys + column, pp, d_k + row);
    scatter(tile, slopes, at.keys + row, pp, d_k + column);
    gather(tile, weights, at.grads + column, pp, d_v + row);
    scatter(tile, weights, at.grads + row, pp, d_v + column);
  });
  unpack_rows(d_k, n, s.p, grads.d_k, grads.add_k);
  if (d_v != d_k) unpack_rows(d_v, n, s.p, grads.d_v, grads.add_v);
  return true;
}

}  // namespace
}  // namespace crate::attend
