// attend_kernel: forward, pattern and backward of ops/attend_core.h, compiled once per instruction set (see
// tensor/simd.h). Scores are kept in base 2: the queries are packed times scale * log2(e), so that exp is a bare 2^x.
// Queries that are the keys and see both ways take the form of ops/attend_symmetric.h where that is exact.
#pragma once
#include "ops/attend_symmetric.h"
#include "ops/score_rows_kernel.h"

namespace crate::attend {
namespace {

inline constexpr Index few_queries = 2;  // at most so many are not worth packing the keys for

inline Tile first_tile(const AttendShape& s, Index row0) {
  return {row0, least(tile_rows, s.n_q - row0), 0, 0, s.causal, s.offset};
}

/// The next tile_keys keys of the tile's rows; false when no row sees any more.
inline bool set_keys(const AttendShape& s, Index key0, Tile& tile) {
  const Index end = s.causal ? least(s.n_k, tile.row0 + tile.rows + s.offset) : s.n_k;
  tile.key0 = key0;
  tile.keys = least(tile_keys, end - key0);
  return tile.keys > 0;
}

/// Running softmax of one row: the largest score so far, the sum of 2^(score - largest).
struct Running {
  float top = -__builtin_inff();
  float total = 0.0F;
};

/// Sums of products -> 2^(score - top), packed along the row, with zeros after `seen`; returns what the row's earlier
/// sums must be multiplied by.
template <class Of> float absorb(float* scores, float factor, Index seen, Running& run) {
  Index j = 0;
  float keep = 1.0F;
  if (seen > 0) {
    const auto score = [&](Index at) { return Of::times_factor(simd::load(scores + at), factor); };
    Vec top = simd::splat(run.top);
    for (; j + lanes <= seen; j += lanes) top = simd::max(top, score(j));
    if (j < seen) top = simd::max(top, simd::blend_first(score(j), top, seen - j));
    const float largest = simd::largest(top);
    Vec total{};
    for (j = 0; j < seen; j += lanes) {
      Vec e = simd::exp2(score(j) - largest);
      if (j + lanes > seen) e = simd::blend_first(e, Vec{}, seen - j);
      Of::put_along(scores + j / Of::pairs, e);
      total += e;
    }
    keep = run.total > 0.0F ? simd::exp2(simd::splat(run.top - largest))[0] : 0.0F;
    run.total = run.total * keep + simd::sum(total);
    run.top = largest;
  }
  for (; j < seen + group; j += lanes) Of::put_along(scores + j / Of::pairs, Vec{});
  return keep;
}

inline float lse_of(const Running& run) {
  return run.total == 0.0F ? -__builtin_inff() : run.top * ln_2 + __builtin_logf(run.total);
}

/// to (vecs vectors) = the sum of n rows of v, each times its factor, in chains that hide each other's latency.
template <int vecs> inline void sum_rows(Index n, const float* factor, Rows v, float* to) {
  constexpr int chains = 4;
  Vec sums[chains][vecs] = {};
  Index j = 0;
  for (; j + chains <= n; j += chains) {
#pragma GCC unroll 4
    for (int chain = 0; chain < chains; ++chain) {
      const float* row = v.at + (j + chain) * v.stride;
#pragma GCC unroll 4
      for (int i = 0; i < vecs; ++i) sums[chain][i] += simd::load(row + i * lanes) * factor[j + chain];
    }
  }
  for (; j < n; ++j)
    for (int i = 0; i < vecs; ++i) sums[0][i] += simd::load(v.at + j * v.stride + i * lanes) * factor[j];
  for (int i = 0; i < vecs; ++i)
    simd::store(to + i * lanes, (sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i]));
}

/// Forward for a query or two: dot products with the rows where they lie.
inline void forward_few(const AttendShape& s, Rows q, Rows k, Rows v, Out o, float* lse, Scratch room) {
  const Index pp = round_up(s.p, lanes);
  const Index whole = s.p / lanes * lanes;
  float* query = room.take(pp);
  float* sums = room.take(pp);
  float* scores = room.take(s.n_k + 2 * tile_stride);
  for (Index i = 0; i < s.n_q; ++i) {
    pack_rows<F32>({q.at + i * q.stride, q.stride}, 1, 0, s.p, score_factor(s), query);
    const Index seen = Tile{i, 1, 0, s.n_k, s.causal, s.offset}.seen(0);
    for (Index j = 0; j < seen; ++j) {
      const float* key = k.at + j * k.stride;
      Vec dot{};
      for (Index c = 0; c < whole; c += lanes) dot = simd::load(query + c) * simd::load(key + c) + dot;
      if (whole < s.p) dot = simd::load(query + whole) * simd::load_first(key + whole, s.p - whole) + dot;
      scores[j] = simd::sum(dot);
    }
    Running run;
    absorb<F32>(scores, 1.0F, seen, run);
    Index c = 0;
    for (; c + 2 * lanes <= whole; c += 2 * lanes) sum_rows<2>(seen, scores, {v.at + c, v.stride}, sums + c);
    if (c < whole) sum_rows<1>(seen, scores, {v.at + c, v.stride}, sums + c);
    if (whole < s.p) {
      Vec last{};
      for (Index j = 0; j < seen; ++j)
        last = simd::load_first(v.at + j * v.stride + whole, s.p - whole) * scores[j] + last;
      simd::store(sums + whole, last);
    }
    scale_row(sums, pp, run.total > 0.0F ? 1.0F / run.total : 0.0F);
    unpack_rows(sums, 1, s.p, {o.at + i * o.stride, o.stride}, false);
    lse[i] = lse_of(run);
  }
}

template <class Of> void forward(const AttendShape& s, Rows q, Rows k, Rows v, Out o, float* lse, float* scratch) {
  Scratch room(scratch);
  if (s.n_q <= few_queries) return forward_few(s, q, k, v, o, lse, room);
  if (is_symmetric(s, q, k) && forward_symmetric<Of>(s, k, v, o, lse, room)) return;
  const Index pp = round_up(s.p, lanes);
  float* keys = room.take(s.n_k * pp);
  float* panels = room.take(round_up(s.n_k, panel) * steps_of<Of>(s.p));
  float* queries = room.take(tile_rows * row_of<Of>(s.p));
  float* scores = room.take(tile_rows * tile_stride);
  float* sums = room.take(tile_rows * pp);
  pack_rows<Of>(k, s.n_k, 0, s.p, 1.0F, keys);
  pack_panels<Of>(keys, s.n_k, s.p, 1.0F, panels);
  if (Of::pairs > 1 || !same(v, k)) pack_terms<Of>(v, s.n_k, 0, s.p, keys);  // the keys live on in the panels
  const float* values = keys;
  for (Index row0 = 0; row0 < s.n_q; row0 += tile_rows) {
    Tile tile = first_tile(s, row0);
    const Index padding = round_up(tile.rows, group) - tile.rows;
    pack_rows<Of>({q.at + row0 * q.stride, q.stride}, tile.rows, padding, s.p, Of::packed_factor(score_factor(s)),
                  queries);
    __builtin_memset(sums, 0, static_cast<std::size_t>(tile_rows * pp) * sizeof(float));
    Running run[tile_rows];
    for (Index key0 = 0; set_keys(s, key0, tile); key0 += tile_keys) {
      score<Of>(tile, s.p, queries, panels, scores);
      for (Index r = 0; r < tile.rows; ++r) {
        const float keep = absorb<Of>(scores + r * tile_stride, score_factor(s), tile.seen(r), run[r]);
        if (key0 > 0 && keep != 1.0F) scale_row(sums + r * pp, pp, keep);
      }
      gather<Of>(tile, scores, tile_stride, values + key0 / Of::pairs * pp, pp, sums);
    }
    for (Index r = 0; r < tile.rows; ++r) {
      scale_row(sums + r * pp, pp, run[r].total > 0.0F ? 1.0F / run[r].total : 0.0F);
      lse[row0 + r] = lse_of(run[r]);
    }
    unpack_rows(sums, tile.rows, s.p, {o.at + row0 * o.stride, o.stride}, false);
  }
}

/// Sums of products -> 2^(score - lse2), zeros after `seen`.
template <class Of> void recall(float* scores, float factor, Index seen, float lse2) {
  for (Index j = 0; j < seen; j += lanes) {
    simd::store(scores + j, simd::exp2(Of::times_factor(simd::load(scores + j), factor) - lse2));
  }
  clear_after(scores, seen);
}

template <class Of> void pattern(const AttendShape& s, Rows q, Rows k, const float* lse, float* to, float* scratch) {
  Scratch room(scratch);
  const Index pp = round_up(s.p, lanes);
  float* keys = room.take(s.n_k * pp);
  float* panels = room.take(round_up(s.n_k, panel) * steps_of<Of>(s.p));
  float* queries = room.take(tile_rows * pp);
  float* scores = room.take(tile_rows * tile_stride);
  pack_rows<Of>(k, s.n_k, 0, s.p, 1.0F, keys);
  pack_panels<Of>(keys, s.n_k, s.p, 1.0F, panels);
  __builtin_memset(to, 0, static_cast<std::size_t>(s.n_q * s.n_k) * sizeof(float));
  for (Index row0 = 0; row0 < s.n_q; row0 += tile_rows) {
    Tile tile = first_tile(s, row0);
    const Index padding = round_up(tile.rows, group) - tile.rows;
    pack_rows<Of>({q.at + row0 * q.stride, q.stride}, tile.rows, padding, s.p, Of::packed_factor(score_factor(s)),
                  queries);
    for (Index key0 = 0; set_keys(s, key0, tile); key0 += tile_keys) {
      score<Of>(tile, s.p, queries, panels, scores);
      for (Index r = 0; r < tile.rows; ++r) {
        float* row = scores + r * tile_stride;
        recall<Of>(row, score_factor(s), tile.seen(r), lse[row0 + r] * log2_e);
        __builtin_memcpy(to + (row0 + r) * s.n_k + key0, row, static_cast<std::size_t>(tile.seen(r)) * sizeof(float));
      }
    }
  }
}

/// products -> P (products - d): the gradient of the scores, before the scale.
inline void slope(const float* p_row, float* products, Index seen, float d, float scale) {
  for (Index j = 0; j < seen; j += lanes) {
    simd::store(products + j, simd::load(p_row + j) * (simd::load(products + j) - d) * scale);
  }
  clear_after(products, seen);
}

/// Rows of a tile in float -> packed across rows, in place, and along each row.
template <class Of> void join_tile(const Tile& tile, float* weights, float* along) {
  constexpr Index stride = tile_stride / Of::pairs;
  if constexpr (Of::pairs == 1) return;
  for (Index r = 0; r < tile.rows; r += Of::pairs) {
    const Index end = tile.seen(least(r + Of::pairs, tile.rows) - 1) + group;
    for (Index j = 0; j < end; j += lanes) {
      Vec x[Of::pairs];
      for (Index k = 0; k < Of::pairs; ++k)
        x[k] = r + k < tile.rows ? simd::load(weights + (r + k) * tile_stride + j) : Vec{};
      Of::put(along + r * stride + j / Of::pairs, stride, weights + r / Of::pairs * tile_stride + j, x);
    }
  }
}

/// Packed inputs and sums of a backward pass.
struct Packed {
  float *keys, *key_panels, *value_panels;            // whole head: terms, panels
  float *queries, *scaled_queries, *d_o, *d_o_terms;  // of a tile: terms, rows, rows, terms
  float *weights, *slopes, *slopes_along;             // (tile_rows, tile_stride): P, then dS
  float *d_q, *d_k, *d_v;                             // whole head; one address where the caller's are one
};

template <class Of>
Packed pack(const AttendShape& s, const AttendSaved<float>& saved, const AttendGrads<float>& grads, Scratch room) {
  const Index pp = round_up(s.p, lanes);
  const Index panels = round_up(s.n_k, panel) * steps_of<Of>(s.p);
  Packed at{};
  at.keys = room.take(s.n_k * pp);
  at.key_panels = room.take(panels);
  at.value_panels = at.key_panels;
  if (!same(saved.v, saved.k)) {
    at.value_panels = room.take(panels);
    pack_rows<Of>(saved.v, s.n_k, 0, s.p, 1.0F, at.keys);
    pack_panels<Of>(at.keys, s.n_k, s.p, 1.0F, at.value_panels);
  }
  pack_rows<Of>(saved.k, s.n_k, 0, s.p, 1.0F, at.keys);
  pack_panels<Of>(at.keys, s.n_k, s.p, 1.0F, at.key_panels);
  if constexpr (Of::pairs > 1) pack_terms<Of>(saved.k, s.n_k, 0, s.p, at.keys);
  at.queries = room.take(tile_rows * pp);
  at.scaled_queries = room.take(tile_rows * pp);
  at.d_o = room.take(tile_rows * pp);
  at.d_o_terms = Of::pairs > 1 ? room.take(tile_rows * pp) : at.d_o;
  at.weights = room.take(tile_rows * tile_stride);
  at.slopes = room.take(tile_rows * tile_stride);
  at.slopes_along = Of::pairs > 1 ? room.take(tile_rows * tile_stride / Of::pairs) : at.slopes;
  const auto zeros = [&](Index rows) {
    return room.take_zeros((rows + group) * pp);
  };  // a group may reach past the last
  at.d_k = zeros(s.n_k);
  at.d_v = grads.d_v.at == grads.d_k.at ? at.d_k : zeros(s.n_k);
  at.d_q = grads.d_q.at == grads.d_k.at ? at.d_k : zeros(s.n_q);
  return at;
}

template <class Of>
void backward(const AttendShape& s, const AttendSaved<float>& saved, const AttendGrads<float>& grads, float* scratch) {
  const Index pp = round_up(s.p, lanes);
  const Scratch room(scratch);
  if (is_symmetric(s, saved.q, saved.k) && grads.d_q.at == grads.d_k.at &&
      backward_symmetric<Of>(s, saved, grads, room))
    return;
  const float factor = score_factor(s);
  const Packed at = pack<Of>(s, saved, grads, room);
  for (Index row0 = 0; row0 < s.n_q; row0 += tile_rows) {
    Tile tile = first_tile(s, row0);
    const Index padding = round_up(tile.rows, group) - tile.rows;
    const Rows q{saved.q.at + row0 * saved.q.stride, saved.q.stride};
    const Rows d_o{saved.d_o.at + row0 * saved.d_o.stride, saved.d_o.stride};
    pack_terms<Of>(q, tile.rows, padding, s.p, at.queries);
    pack_rows<Of>(q, tile.rows, padding, s.p, Of::packed_factor(factor), at.scaled_queries);
    pack_rows<Of>(d_o, tile.rows, padding, s.p, 1.0F, at.d_o);
    if constexpr (Of::pairs > 1) pack_terms<Of>(d_o, tile.rows, padding, s.p, at.d_o_terms);
    float d[tile_rows];
    for (Index r = 0; r < tile.rows; ++r) {
      d[r] = dot_row(d_o.at + r * d_o.stride, saved.o.at + (row0 + r) * saved.o.stride, s.p);
    }
    for (Index key0 = 0; set_keys(s, key0, tile); key0 += tile_keys) {
      score<Of>(tile, s.p, at.scaled_queries, at.key_panels, at.weights);
      score<Of>(tile, s.p, at.d_o, at.value_panels, at.slopes);
      for (Index r = 0; r < tile.rows; ++r) {
        recall<Of>(at.weights + r * tile_stride, factor, tile.seen(r), saved.lse[row0 + r] * log2_e);
        slope(at.weights + r * tile_stride, at.slopes + r * tile_stride, tile.seen(r), d[r],
              static_cast<float>(s.scale));
      }
      join_tile<Of>(tile, at.weights, at.slopes_along);  // of these nobody reads the rows
      join_tile<Of>(tile, at.slopes, at.slopes_along);
      scatter<Of>(tile, at.weights, at.d_o_terms, pp, at.d_v + key0 * pp);
      scatter<Of>(tile, at.slopes, at.queries, pp, at.d_k + key0 * pp);
      gather<Of>(tile, at.slopes_along, tile_stride / Of::pairs, at.keys + key0 / Of::pairs * pp, pp,
                 at.d_q + row0 * pp);
    }
  }
  unpack_rows(at.d_k, s.n_k, s.p, grads.d_k, grads.add_k);
  if (at.d_v != at.d_k) unpack_rows(at.d_v, s.n_k, s.p, grads.d_v, grads.add_v);
  if (at.d_q != at.d_k) unpack_rows(at.d_q, s.n_q, s.p, grads.d_q, grads.add_q);
}

template <class Of>
inline constexpr AttendKernels<float> table{
    forward<Of>, pattern<Of>, backward<Of>, {make_rows, unmake_rows, exclude_rows, unexclude_rows, put_rows}};

}  // namespace
}  // namespace crate::attend
