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

/// scores -> 2^(score - top) with zeros after `seen`; returns what the row's earlier sums must be multiplied by.
inline float absorb(float* scores, Index seen, Running& run) {
  if (seen == 0) {
    clear_after(scores, 0);
    return 1.0F;
  }
  Vec top = simd::splat(run.top);
  Index j = 0;
  for (; j + lanes <= seen; j += lanes) top = simd::max(top, simd::load(scores + j));
  if (j < seen) top = simd::max(top, simd::blend_first(simd::load(scores + j), top, seen - j));
  const float largest = simd::largest(top);
  Vec total{};
  for (j = 0; j + lanes <= seen; j += lanes) {
    const Vec e = simd::exp2(simd::load(scores + j) - largest);
    simd::store(scores + j, e);
    total += e;
  }
  if (j < seen) {
    const Vec e = simd::blend_first(simd::exp2(simd::load(scores + j) - largest), Vec{}, seen - j);
    simd::store(scores + j, e);
    total += e;
  }
  clear_after(scores, seen);
  const float keep = run.total > 0.0F ? simd::exp2(simd::splat(run.top - largest))[0] : 0.0F;
  run.total = run.total * keep + simd::sum(total);
  run.top = largest;
  return keep;
}

inline float lse_of(const Running& run) {
  return run.total == 0.0F ? -__builtin_inff() : run.top * ln_2 + __builtin_logf(run.total);
}

/// Forward for a query or two: dot products with the rows where they lie.
inline void forward_few(const AttendShape& s, Rows q, Rows k, Rows v, Out o, float* lse, Scratch room) {
  const Index pp = round_up(s.p, lanes);
  const Index whole = s.p / lanes * lanes;
  float* query = room.take(pp);
  float* sums = room.take(pp);
  float* scores = room.take(s.n_k + 2 * tile_stride);
  for (Index i = 0; i < s.n_q; ++i) {
    pack_rows({q.at + i * q.stride, q.stride}, 1, 0, s.p, score_factor(s), query);
    const Index seen = Tile{i, 1, 0, s.n_k, s.causal, s.offset}.seen(0);
    for (Index j = 0; j < seen; ++j) {
      const float* key = k.at + j * k.stride;
      Vec dot{};
      for (Index c = 0; c < whole; c += lanes) dot = simd::load(query + c) * simd::load(key + c) + dot;
      if (whole < s.p) dot = simd::load(query + whole) * simd::load_first(key + whole, s.p - whole) + dot;
      scores[j] = simd::sum(dot);
    }
    Running run;
    absorb(scores, seen, run);
    for (Index c = 0; c < whole; c += panel) {
      const Index vecs = least(panel, whole - c) / lanes;
      product<false, 1>(vecs, seen, scores, 0, 1, v.at + c, v.stride, sums + c, 0);
    }
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

inline void forward(const AttendShape& s, Rows q, Rows k, Rows v, Out o, float* lse, float* scratch) {
  Scratch room(scratch);
  if (s.n_q <= few_queries) return forward_few(s, q, k, v, o, lse, room);
  if (is_symmetric(s, q, k) && forward_symmetric(s, k, v, o, lse, room)) return;
  const Index pp = round_up(s.p, lanes);
  float* keys = room.take(s.n_k * pp);
  float* panels = room.take(round_up(s.n_k, panel) * s.p);
  float* queries = room.take(tile_rows * pp);
  float* scores = room.take(tile_rows * tile_stride);
  float* sums = room.take(tile_rows * pp);
  pack_rows(k, s.n_k, 0, s.p, 1.0F, keys);
  pack_panels(keys, s.n_k, s.p, 1.0F, panels);
  if (!same(v, k)) pack_rows(v, s.n_k, 0, s.p, 1.0F, keys);  // the keys live on in the panels
  const float* values = keys;
  for (Index row0 = 0; row0 < s.n_q; row0 += tile_rows) {
    Tile tile = first_tile(s, row0);
    const Index padding = round_up(tile.rows, group) - tile.rows;
    pack_rows({q.at + row0 * q.stride, q.stride}, tile.rows, padding, s.p, score_factor(s), queries);
    __builtin_memset(sums, 0, static_cast<std::size_t>(tile_rows * pp) * sizeof(float));
    Running run[tile_rows];
    for (Index key0 = 0; set_keys(s, key0, tile); key0 += tile_keys) {
      score(tile, s.p, queries, panels, scores);
      for (Index r = 0; r < tile.rows; ++r) {
        const float keep = absorb(scores + r * tile_stride, tile.seen(r), run[r]);
        if (key0 > 0 && keep != 1.0F) scale_row(sums + r * pp, pp, keep);
      }
      gather(tile, scores, values + key0 * pp, pp, sums);
    }
    for (Index r = 0; r < tile.rows; ++r) {
      scale_row(sums + r * pp, pp, run[r].total > 0.0F ? 1.0F / run[r].total : 0.0F);
      lse[row0 + r] = lse_of(run[r]);
    }
    unpack_rows(sums, tile.rows, s.p, {o.at + row0 * o.stride, o.stride}, false);
  }
}

/// scores -> 2^(score - lse2), zeros after `seen`.
inline void recall(float* scores, Index seen, float lse2) {
  for (Index j = 0; j < seen; j += lanes) simd::store(scores + j, simd::exp2(simd::load(scores + j) - lse2));
  clear_after(scores, seen);
}

inline void pattern(const AttendShape& s, Rows q, Rows k, const float* lse, float* to, float* scratch) {
  Scratch room(scratch);
  const Index pp = round_up(s.p, lanes);
  float* keys = room.take(s.n_k * pp);
  float* panels = room.take(round_up(s.n_k, panel) * s.p);
  float* queries = room.take(tile_rows * pp);
  float* scores = room.take(tile_rows * tile_stride);
  pack_rows(k, s.n_k, 0, s.p, 1.0F, keys);
  pack_panels(keys, s.n_k, s.p, 1.0F, panels);
  __builtin_memset(to, 0, static_cast<std::size_t>(s.n_q * s.n_k) * sizeof(float));
  for (Index row0 = 0; row0 < s.n_q; row0 += tile_rows) {
    Tile tile = first_tile(s, row0);
    const Index padding = round_up(tile.rows, group) - tile.rows;
    pack_rows({q.at + row0 * q.stride, q.stride}, tile.rows, padding, s.p, score_factor(s), queries);
    for (Index key0 = 0; set_keys(s, key0, tile); key0 += tile_keys) {
      score(tile, s.p, queries, panels, scores);
      for (Index r = 0; r < tile.rows; ++r) {
        float* row = scores + r * tile_stride;
        recall(row, tile.seen(r), lse[row0 + r] * log2_e);
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

/// Packed inputs and sums of a backward pass.
struct Packed {
  float *keys, *key_panels, *value_panels;  // whole head
  float *queries, *scaled_queries, *d_o;    // rows of a tile
  float *weights, *slopes;                  // (tile_rows, tile_stride): P, then dS
  float *d_q, *d_k, *d_v;                   // whole head; one address where the caller's are one
};

inline Packed pack(const AttendShape& s, const AttendSaved<float>& saved, const AttendGrads<float>& grads,
                   Scratch room) {
  const Index pp = round_up(s.p, lanes);
  const Index panels = round_up(s.n_k, panel) * s.p;
  Packed at{};
  at.keys = room.take(s.n_k * pp);
  at.key_panels = room.take(panels);
  at.value_panels = at.key_panels;
  if (!same(saved.v, saved.k)) {
    at.value_panels = room.take(panels);
    pack_rows(saved.v, s.n_k, 0, s.p, 1.0F, at.keys);
    pack_panels(at.keys, s.n_k, s.p, 1.0F, at.value_panels);
  }
  pack_rows(saved.k, s.n_k, 0, s.p, 1.0F, at.keys);
  pack_panels(at.keys, s.n_k, s.p, 1.0F, at.key_panels);
  at.queries = room.take(tile_rows * pp);
  at.scaled_queries = room.take(tile_rows * pp);
  at.d_o = room.take(tile_rows * pp);
  at.weights = room.take(tile_rows * tile_stride);
  at.slopes = room.take(tile_rows * tile_stride);
  const auto zeros = [&](Index rows) {
    return room.take_zeros((rows + group) * pp);
  };  // a group may reach past the last
  at.d_k = zeros(s.n_k);
  at.d_v = grads.d_v.at == grads.d_k.at ? at.d_k : zeros(s.n_k);
  at.d_q = grads.d_q.at == grads.d_k.at ? at.d_k : zeros(s.n_q);
  return at;
}

inline void backward(const AttendShape& s, const AttendSaved<float>& saved, const AttendGrads<float>& grads,
                     float* scratch) {
  const Index pp = round_up(s.p, lanes);
  const Scratch room(scratch);
  if (is_symmetric(s, saved.q, saved.k) && grads.d_q.at == grads.d_k.at && backward_symmetric(s, saved, grads, room))
    return;
  const Packed at = pack(s, saved, grads, room);
  for (Index row0 = 0; row0 < s.n_q; row0 += tile_rows) {
    Tile tile = first_tile(s, row0);
    const Index padding = round_up(tile.rows, group) - tile.rows;
    const Rows q{saved.q.at + row0 * saved.q.stride, saved.q.stride};
    pack_rows(q, tile.rows, padding, s.p, 1.0F, at.queries);
    pack_rows(q, tile.rows, padding, s.p, score_factor(s), at.scaled_queries);
    pack_rows({saved.d_o.at + row0 * saved.d_o.stride, saved.d_o.stride}, tile.rows, padding, s.p, 1.0F, at.d_o);
    float d[tile_rows];
    for (Index r = 0; r < tile.rows; ++r) {
      d[r] = dot_row(at.d_o + r * pp, saved.o.at + (row0 + r) * saved.o.stride, s.p);
    }
    for (Index key0 = 0; set_keys(s, key0, tile); key0 += tile_keys) {
      score(tile, s.p, at.scaled_queries, at.key_panels, at.weights);
      score(tile, s.p, at.d_o, at.value_panels, at.slopes);
      for (Index r = 0; r < tile.rows; ++r) {
        recall(at.weights + r * tile_stride, tile.seen(r), saved.lse[row0 + r] * log2_e);
        slope(at.weights + r * tile_stride, at.slopes + r * tile_stride, tile.seen(r), d[r],
              static_cast<float>(s.scale));
      }
      scatter(tile, at.weights, at.d_o, pp, at.d_v + key0 * pp);
      scatter(tile, at.slopes, at.queries, pp, at.d_k + key0 * pp);
      gather(tile, at.slopes, at.keys + key0 * pp, pp, at.d_q + row0 * pp);
    }
  }
  unpack_rows(at.d_k, s.n_k, s.p, grads.d_k, grads.add_k);
  if (at.d_v != at.d_k) unpack_rows(at.d_v, s.n_k, s.p, grads.d_v, grads.add_v);
  if (at.d_q != at.d_k) unpack_rows(at.d_q, s.n_q, s.p, grads.d_q, grads.add_q);
}

inline constexpr AttendKernels<float> table{
    forward, pattern, backward, {make_rows, unmake_rows, exclude_rows, unexclude_rows, put_rows}};

}  // namespace
}  // namespace crate::attend
