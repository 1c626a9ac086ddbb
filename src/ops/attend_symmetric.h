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
// |v_j| of dS). With bf16 products the bounds are those of the rounded rows, whose norms are off by 2^-7: T <= 256
// keeps T and B within 2, and what is lost of a product is 2^-126, as the instruction takes such numbers for 0.
// Every other E_ij has the relative error of 2^x at |s_ij - shift| <= 2 T, where the general form has
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

/// E or the slopes of a tile, as both of their products read it: for sums along a row and for sums across rows. One
/// copy serves both where a float is one number.
template <class Of> struct TwoWays {
  static constexpr Index stride = tile_stride / Of::pairs;  // of `along`; a step of `across` is tile_stride floats
  float *along, *across;

  explicit TwoWays(Scratch& room) : along(room.take(tile_rows * tile_stride)), across(along) {
    if constexpr (Of::pairs > 1) across += tile_rows * stride;
  }
  /// Rows r .. of as many vectors, from key j.
  [[gnu::always_inline]] void put(Index r, Index j, const Vec* x) const {
    Of::put(along + r * stride + j / Of::pairs, stride, across + r / Of::pairs * tile_stride + j, x);
  }
};

/// Where the products of a block go: into the tile where E and the slopes may replace them, or into a block of room.
template <class Of> struct BlockProducts {
  static constexpr bool in_place = Of::pairs == 1;
  static constexpr Index stride = in_place ? tile_stride : panel;
  float* room;

  BlockProducts(const TwoWays<Of>& tile, Scratch& scratch)
      : room(in_place ? tile.along : scratch.take(group * panel)) {}
  float* of(const Block& at) const { return in_place ? room + at.r * tile_stride + at.j : room; }
};

/// Products of a block -> E, there and in the tile, added to the sums of its rows (a vector each) and of its columns.
template <class Of, bool edge, bool totals>
void weigh(const Tile& tile, const Block& at, float factor, float shift, float* products, const TwoWays<Of>& e,
           float* row_totals, float* column_totals) {
  Vec rows[group];
#pragma GCC unroll 6
  for (Index i = 0; totals && i < group; ++i) rows[i] = simd::load(row_totals + (at.r + i) * lanes);
  for (Index v = 0; v < at.vecs; ++v) {
    const Index j = at.j + v * lanes;
    Vec column = totals ? simd::load(column_totals + j) : Vec{};
    Vec y[group];
#pragma GCC unroll 6
    for (Index i = 0; i < group; ++i) {
      const Index r = at.r + i;
      float* x = products + i * BlockProducts<Of>::stride + v * lanes;
      y[i] = simd::exp2(Of::times_factor(simd::load(x), factor) - shift);
      if constexpr (edge) {
        y[i] = up_to_diagonal(y[i], r < tile.rows ? tile.seen(r) - j : 0, tile.row0 + r - tile.key0 - j);
      }
      if constexpr (!BlockProducts<Of>::in_place && !totals) simd::store(x, y[i]);
      if (i % Of::pairs == Of::pairs - 1) e.put(r + 1 - Of::pairs, j, y + i + 1 - Of::pairs);
      if constexpr (totals) {
        rows[i] += y[i];
        column += y[i];
      }
    }
    if constexpr (totals) simd::store(column_totals + j, column);
  }
#pragma GCC unroll 6
  for (Index i = 0; totals && i < group; ++i) simd::store(row_totals + (at.r + i) * lanes, rows[i]);
}

template <bool totals, class Of>
void weigh(const Tile& tile, const Block& at, float factor, float shift, float* products, const TwoWays<Of>& e,
           float* row_totals, float* column_totals) {
  const bool edge = at.r + group > tile.rows || at.j + at.vecs * lanes > tile.row0 + at.r - tile.key0;
  edge ? weigh<Of, true, totals>(tile, at, factor, shift, products, e, row_totals, column_totals)
       : weigh<Of, false, totals>(tile, at, factor, shift, products, e, row_totals, column_totals);
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

template <class Of> Window window_of(const AttendShape& s, Norms keys, float largest_product) {
  const float factor = score_factor(s);
  const float top = factor * keys.largest;
  const float bottom = factor * keys.least;
  const bool fits = top - bottom <= 96.0F && top <= Of::largest_score && static_cast<float>(s.p) * top <= 0x1p22F &&
                    factor >= 0x1p-20F && factor <= 0x1p20F && largest_product <= 0x1p50F;
  return {fits, 0.5F * (top + bottom)};
}

/// Rows of a head, packed for the products that read them: for scores, and for sums over rows.
struct PackedRows {
  float *rows, *panels, *terms;
};

template <class Of> PackedRows pack_head(const AttendShape& s, Rows from, Scratch& room) {
  const Index n = s.n_k;
  const Index padding = round_up(n, group) - n;
  PackedRows at{};
  at.rows = room.take((n + group) * row_of<Of>(s.p));
  at.panels = room.take(round_up(n, panel) * steps_of<Of>(s.p));
  pack_rows<Of>(from, n, padding, s.p, 1.0F, at.rows);
  pack_panels<Of>(at.rows, n, s.p, score_factor(s), at.panels);
  at.terms = at.rows;
  if constexpr (Of::pairs > 1) {
    at.terms = room.take(steps_of<Of>(n + group) * round_up(s.p, lanes));
    pack_terms<Of>(from, n, padding, s.p, at.terms);
  }
  return at;
}

/// o and lse, or false when the rows' norms are too far apart.
template <class Of> bool forward_symmetric(const AttendShape& s, Rows k, Rows v, Out o, float* lse, Scratch room) {
  const Index n = s.n_k;
  const Index pp = round_up(s.p, lanes);
  const Index row = row_of<Of>(s.p);
  const Norms norms = norms_of(k, n, s.p);
  const Norms sizes = same(k, v) ? norms : norms_of(v, n, s.p);
  const Window window = window_of<Of>(s, norms, static_cast<float>(n) * __builtin_sqrtf(sizes.largest));
  if (!window.fits) return false;
  const PackedRows keys = pack_head<Of>(s, k, room);
  const float* values = keys.terms;
  if (!same(k, v)) {
    float* packed = room.take(steps_of<Of>(n + group) * pp);
    pack_terms<Of>(v, n, round_up(n, group) - n, s.p, packed);
    values = packed;
  }
  const TwoWays<Of> weights(room);
  const BlockProducts<Of> scores(weights, room);
  float* sums = room.take_zeros((n + group) * pp);
  float* totals = room.take_zeros(round_up(n, panel));
  float* row_totals = room.take(tile_rows * lanes);
  const auto terms = [&](Index i) { return values + i / Of::pairs * pp; };
  for_tiles(n, [&](const Tile& tile) {
    if (tile.key0 == 0) __builtin_memset(row_totals, 0, tile_rows * lanes * sizeof(float));
    for_blocks(tile, [&](const Block& at) {
      block_product<Of, false>(tile, at, s.p, keys.rows + tile.row0 * row, keys.panels, scores.of(at), scores.stride);
      weigh<true>(tile, at, score_factor(s), window.shift, scores.of(at), weights, row_totals, totals + tile.key0);
    });
    gather<Of>(tile, weights.along, weights.stride, terms(tile.key0), pp, sums + tile.row0 * pp);
    scatter<Of>(tile, weights.across, terms(tile.row0), pp, sums + tile.key0 * pp);
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

/// Slopes of a block from its E and its products: E (products - c_i - c_j) ln 2.
template <class Of>
void slope(const Block& at, float factor, const float* c_row, const float* c_column, const float* e,
           const float* products, const TwoWays<Of>& slopes) {
  constexpr Index stride = BlockProducts<Of>::stride;
  for (Index v = 0; v < at.vecs; ++v) {
    const Index j = at.j + v * lanes;
    const Vec of_column = simd::load(c_column + j);
    Vec y[group];
#pragma GCC unroll 6
    for (Index i = 0; i < group; ++i) {
      const Index x = i * stride + v * lanes;
      y[i] = Of::times_factor(simd::load(products + x), factor) - of_column - c_row[at.r + i];
      y[i] = y[i] * (simd::load(e + x) * ln_2);
      if (i % Of::pairs == Of::pairs - 1) slopes.put(at.r + i + 1 - Of::pairs, j, y + i + 1 - Of::pairs);
    }
  }
}

/// Inputs of the backward pass, packed.
struct SymmetricPacked {
  PackedRows keys, values;  // one where the caller's are
  PackedRows grads;         // d_o_i / total_i
  float* along;             // d_o_i.o_i / total_i, times the factor
};

template <class Of>
SymmetricPacked pack_symmetric(const AttendShape& s, const AttendSaved<float>& saved, float shift, Scratch& room) {
  const Index n = s.n_k;
  const Index pp = round_up(s.p, lanes);
  SymmetricPacked at{};
  at.keys = pack_head<Of>(s, saved.k, room);
  at.values = same(saved.k, saved.v) ? at.keys : pack_head<Of>(s, saved.v, room);
  at.along = room.take_zeros(round_up(n, panel) + group);
  float* grads = room.take(n * pp);
  for (Index i = 0; i < n; ++i) {
    const float of_total = simd::exp2(simd::splat(shift - saved.lse[i] * log2_e))[0];
    pack_rows<F32>({saved.d_o.at + i * saved.d_o.stride, 0}, 1, 0, s.p, of_total, grads + i * pp);
    at.along[i] = score_factor(s) * dot_row(grads + i * pp, saved.o.at + i * saved.o.stride, s.p);
  }
  at.grads = pack_head<Of>(s, {grads, pp}, room);
  return at;
}

/// The gradients, or false when the rows' norms are too far apart. d_q and d_k are one tensor.
template <class Of>
bool backward_symmetric(const AttendShape& s, const AttendSaved<float>& saved, const AttendGrads<float>& grads,
                        Scratch room) {
  const Index n = s.n_k;
  const Index pp = round_up(s.p, lanes);
  const Norms norms = norms_of(saved.k, n, s.p);
  const Norms sizes = same(saved.k, saved.v) ? norms : norms_of(saved.v, n, s.p);
  const Norms grad_sizes = norms_of(saved.d_o, n, s.p);
  const Window window = window_of<Of>(s, norms, __builtin_sqrtf(sizes.largest) * __builtin_sqrtf(grad_sizes.largest));
  if (!window.fits) return false;
  const SymmetricPacked at = pack_symmetric<Of>(s, saved, window.shift, room);
  const TwoWays<Of> weights(room);
  const TwoWays<Of> slopes(room);
  const BlockProducts<Of> e(weights, room);
  const BlockProducts<Of> products(slopes, room);
  float* d_k = room.take_zeros((n + group) * pp);
  float* d_v = grads.d_v.at == grads.d_k.at ? d_k : room.take_zeros((n + group) * pp);
  const float factor = score_factor(s);
  for_tiles(n, [&](const Tile& tile) {
    const Index first = tile.row0 * row_of<Of>(s.p);
    const Index row = tile.row0 / Of::pairs * pp;
    const Index column = tile.key0 / Of::pairs * pp;
    for_blocks(tile, [&](const Block& b) {
      block_product<Of, false>(tile, b, s.p, at.keys.rows + first, at.keys.panels, e.of(b), e.stride);
      weigh<false>(tile, b, factor, window.shift, e.of(b), weights, nullptr, nullptr);
      block_product<Of, false>(tile, b, s.p, at.grads.rows + first, at.values.panels, products.of(b), e.stride);
      block_product<Of, true>(tile, b, s.p, at.values.rows + first, at.grads.panels, products.of(b), e.stride);
      slope(b, factor, at.along + tile.row0, at.along + tile.key0, e.of(b), products.of(b), slopes);
    });
    gather<Of>(tile, slopes.along, slopes.stride, at.keys.terms + column, pp, d_k + tile.row0 * pp);
    scatter<Of>(tile, slopes.across, at.keys.terms + row, pp, d_k + tile.key0 * pp);
    gather<Of>(tile, weights.along, weights.stride, at.grads.terms + column, pp, d_v + tile.row0 * pp);
    scatter<Of>(tile, weights.across, at.grads.terms + row, pp, d_v + tile.key0 * pp);
  });
  unpack_rows(d_k, n, s.p, grads.d_k, grads.add_k);
  if (d_v != d_k) unpack_rows(d_v, n, s.p, grads.d_v, grads.add_v);
  return true;
}

}  // namespace
}  // namespace crate::attend
