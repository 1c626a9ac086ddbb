// attend_tile: the parts of the attention kernels, compiled once per instruction set (see tensor/simd.h).
// Letters: p width of a head, pp = p rounded up to whole vectors; Of what products read (see ops/attend_operand.h), in
// `Of::pairs` terms a float. For scores, whose sums go along a row, a packed row is steps_of(p) floats, zero beyond p,
// row_of(p) apart. Packed panels hold keys transposed, `panel` keys side by side: panel c is steps_of(p) rows of
// `panel` floats, zero beyond the last key. For sums over rows, `pairs` packed rows are pp floats, one a column.
#pragma once
#include <utility>

#include "ops/attend_core.h"
#include "ops/attend_operand.h"
#include "ops/attend_table.h"
#include "tensor/simd.h"

namespace crate::attend {
namespace {

using Rows = HeadRows<float>;
using Out = HeadOut<float>;

inline constexpr int group = 6;                             // rows of a register block
inline constexpr int wide = simd::registers == 32 ? 4 : 2;  // its vectors a row: 24 or 12 sums, 4 or 2 b, 1 a
inline constexpr Index panel = wide * lanes;                // keys of a panel
inline constexpr Index tile_rows = 96;                      // queries of a tile, whole groups
inline constexpr Index tile_keys = 384;                     // keys of a tile, whole panels and groups
inline constexpr Index tile_stride =
    tile_keys + lanes * ((group + lanes - 1) / lanes);  // a row's zeros reach past its last key

inline constexpr float log2_e = 1.44269504088896340736F;
inline constexpr float ln_2 = 0.693147180559945309417F;

static_assert(tile_rows <= TileLimits::rows && tile_stride <= TileLimits::stride && panel <= TileLimits::panel &&
              group <= TileLimits::group && lanes <= TileLimits::lanes);

constexpr Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }
constexpr Index least(Index a, Index b) { return a < b ? a : b; }

/// Steps of a sum of n terms; floats from a packed row for scores to the next.
template <class Of> constexpr Index steps_of(Index n) { return (n + Of::pairs - 1) / Of::pairs; }
template <class Of> constexpr Index row_of(Index p) { return round_up(steps_of<Of>(p), lanes); }

/// What scores in base 2 are: this times the products.
inline float score_factor(const AttendShape& s) { return static_cast<float>(s.scale) * log2_e; }

inline bool same(Rows a, Rows b) { return a.at == b.at && a.stride == b.stride; }

/// Cuts the caller's scratch into 64-byte aligned pieces.
struct Scratch {
  float* next;
  explicit Scratch(float* at) : next(at + (16 - reinterpret_cast<std::uintptr_t>(at) / sizeof(float) % 16) % 16) {}
  float* take(Index count) {
    float* piece = next;
    next += round_up(count, 16);
    return piece;
  }
  float* take_zeros(Index count) {
    float* piece = take(count);
    __builtin_memset(piece, 0, static_cast<std::size_t>(count) * sizeof(float));
    return piece;
  }
};

/// Some queries against some keys. Rows and keys count from the head's first.
struct Tile {
  Index row0, rows, key0, keys;
  bool causal;
  Index offset;

  /// How many of the tile's keys row r of it sees.
  Index seen(Index r) const {
    if (!causal) return keys;
    const Index n = row0 + r + offset + 1 - key0;
    return n < 0 ? 0 : least(n, keys);
  }
  /// The most that a row of the group from r sees.
  Index seen_by_group(Index r) const { return seen(least(r + group, rows) - 1); }
  /// The first row that sees key j of the tile; `rows` or more when none does.
  Index first_row(Index j) const {
    const Index r = causal ? key0 + j - offset - row0 : 0;
    return r < 0 ? 0 : r;
  }
};

/// c (group, vecs vectors; rows c_row apart) = or += a b over `depth` steps: a(i, t) = a[i * a_row + t * a_step],
/// row t of b from b + t * b_row. The sums stay in registers: they are named by a parameter pack, because an array
/// indexed in loops was left in memory by both compilers (4x slower). They start at 0 and c is added last: started at
/// c, they went through the stack (7% slower at a depth of 48, 3% at 96).
template <class Of, bool add, int vecs, int... I>
[[gnu::always_inline]] inline void block(std::integer_sequence<int, I...>, Index depth, const float* a, Index a_row,
                                         Index a_step, const float* b, Index b_row, float* c, Index c_row) {
  Vec sums[sizeof...(I)] = {(static_cast<void>(I), Vec{})...};
#pragma GCC unroll 4
  for (Index t = 0; t < depth; ++t, a += a_step, b += b_row) {
    ((sums[I] = Of::add(sums[I], a[(I / vecs) * a_row], b + (I % vecs) * lanes)), ...);
  }
  const auto at = [&](int i) { return c + (i / vecs) * c_row + (i % vecs) * lanes; };
  (simd::store(at(I), add ? simd::load(at(I)) + sums[I] : sums[I]), ...);
}

template <class Of, bool add, int vecs>
[[gnu::noinline]] void product(Index depth, const float* a, Index a_row, Index a_step, const float* b, Index b_row,
                               float* c, Index c_row) {
  block<Of, add, vecs>(std::make_integer_sequence<int, group * vecs>{}, depth, a, a_row, a_step, b, b_row, c, c_row);
}

/// product for 1 <= vecs <= wide known at run time.
template <class Of, bool add>
void product(Index vecs, Index depth, const float* a, Index a_row, Index a_step, const float* b, Index b_row, float* c,
             Index c_row) {
  if constexpr (wide == 4) {
    if (vecs == 4) return product<Of, add, 4>(depth, a, a_row, a_step, b, b_row, c, c_row);
    if (vecs == 3) return product<Of, add, 3>(depth, a, a_row, a_step, b, b_row, c, c_row);
  }
  if (vecs == 2) return product<Of, add, 2>(depth, a, a_row, a_step, b, b_row, c, c_row);
  product<Of, add, 1>(depth, a, a_row, a_step, b, b_row, c, c_row);
}

/// c += a b for b and c of any width in whole vectors, both with rows `width` apart.
template <class Of>
void add_product(Index depth, const float* a, Index a_row, Index a_step, const float* b, float* c, Index width) {
  for (Index column = 0; column < width; column += panel) {
    const Index vecs = least(panel, width - column) / lanes;
    product<Of, true>(vecs, depth, a, a_row, a_step, b + column, width, c + column, width);
  }
}

/// Lanes c .. of a row of p numbers, 0 beyond its end.
[[gnu::always_inline]] inline Vec load_part(const float* row, Index c, Index p) {
  if (c + lanes <= p) return simd::load(row + c);
  return c < p ? simd::load_first(row + c, p - c) : Vec{};
}

/// to = factor * the rows, packed for scores; then `padding` rows of zeros.
template <class Of> void pack_rows(Rows from, Index rows, Index padding, Index p, float factor, float* to) {
  const Index row = row_of<Of>(p);
  for (Index i = 0; i < rows; ++i, to += row) {
    for (Index c = 0; c < row * Of::pairs; c += lanes)
      Of::put_along(to + c / Of::pairs, load_part(from.at + i * from.stride, c, p) * factor);
  }
  for (Index i = 0; i < padding * row; i += lanes) simd::store(to + i, Vec{});
}

/// The rows, packed for sums over rows; then `padding` rows of zeros.
template <class Of> void pack_terms(Rows from, Index rows, Index padding, Index p, float* to) {
  for (Index i = 0; i < rows + padding; i += Of::pairs) {
    for (Index c = 0; c < p; c += lanes, to += lanes) {
      Vec x[Of::pairs];
      for (Index k = 0; k < Of::pairs; ++k)
        x[k] = i + k < rows ? load_part(from.at + (i + k) * from.stride, c, p) : Vec{};
      Of::put_across(to, x);
    }
  }
}

/// n rows packed for scores, times the factor that products do not apply, to packed panels.
template <class Of> void pack_panels(const float* rows, Index n, Index p, float factor, float* to) {
  const Index row = row_of<Of>(p);
  const Index steps = steps_of<Of>(p);
  for (Index j = 0; j < round_up(n, panel); j += lanes) {
    float* column = to + j / panel * panel * steps + j % panel;
    for (Index c = 0; c < steps; c += lanes) {
      Vec square[lanes];
      for (Index i = 0; i < lanes; ++i) {
        square[i] = j + i < n ? simd::load(rows + (j + i) * row + c) : Vec{};
        if constexpr (Of::pairs == 1) square[i] = square[i] * factor;
      }
      simd::transpose(square);
      for (Index i = 0; i < least(lanes, steps - c); ++i) simd::store(column + (c + i) * panel, square[i]);
    }
  }
}

inline void scale_row(float* row, Index width, float factor) {
  for (Index c = 0; c < width; c += lanes) simd::store(row + c, simd::load(row + c) * factor);
}

/// Product of two rows.
inline float dot_row(const float* a, const float* b, Index p) {
  Vec dot{};
  for (Index c = 0; c < p; c += lanes) dot = load_part(a, c, p) * load_part(b, c, p) + dot;
  return simd::sum(dot);
}

/// Packed rows to the caller's, set or added.
inline void unpack_rows(const float* from, Index rows, Index p, Out to, bool add) {
  const Index pp = round_up(p, lanes);
  for (Index i = 0; i < rows; ++i) {
    float* row = to.at + i * to.stride;
    Index c = 0;
    for (; c + lanes <= p; c += lanes) {
      const Vec x = simd::load(from + i * pp + c);
      simd::store(row + c, add ? simd::load(row + c) + x : x);
    }
    if (c == p) continue;
    const Vec x = simd::load(from + i * pp + c);
    simd::store_first(row + c, add ? simd::load_first(row + c, p - c) + x : x, p - c);
  }
}

/// A register block of a tile: `group` rows from r, `vecs` vectors of keys from j.
struct Block {
  Index r, j, vecs;
};

/// f(block) for every block in which anything is seen.
template <class F> void for_blocks(const Tile& tile, F&& f) {
  for (Index j = 0; j < tile.keys; j += panel) {
    for (Index r = 0; r < tile.rows; r += group) {
      const Index left = tile.seen_by_group(r) - j;
      if (left > 0) f(Block{r, j, (least(left, panel) + lanes - 1) / lanes});
    }
  }
}

/// Its part of products (rows `stride` apart) = or += packed rows a times the panels.
template <class Of, bool add>
void block_product(const Tile& tile, const Block& at, Index p, const float* a, const float* panels, float* products,
                   Index stride) {
  const Index row = row_of<Of>(p);
  const Index steps = steps_of<Of>(p);
  product<Of, add>(at.vecs, steps, a + at.r * row, row, 1, panels + (tile.key0 + at.j) * steps, panel, products,
                   stride);
}

/// products (rows of the tile, tile_stride apart) = packed rows a times the panels, for the keys that are seen.
template <class Of> void score(const Tile& tile, Index p, const float* a, const float* panels, float* products) {
  for_blocks(tile, [&](const Block& at) {
    block_product<Of, false>(tile, at, p, a, panels, products + at.r * tile_stride + at.j, tile_stride);
  });
}

/// Zeros after the `seen` keys of a row, as far as a group of rows or of keys reaches beyond them.
inline void clear_after(float* row, Index seen) {
  Index j = seen / lanes * lanes;
  simd::store(row + j, simd::blend_first(simd::load(row + j), Vec{}, seen - j));
  for (j += lanes; j < seen + group; j += lanes) simd::store(row + j, Vec{});
}

/// c (tile.rows, pp) += weights, rows `stride` apart and packed along the row, times the tile's packed terms b.
template <class Of>
void gather(const Tile& tile, const float* weights, Index stride, const float* b, Index pp, float* c) {
  for (Index r = 0; r < tile.rows; r += group) {
    const Index depth = steps_of<Of>(tile.seen_by_group(r));
    if (depth > 0) add_product<Of>(depth, weights + r * stride, stride, 1, b, c + r * pp, pp);
  }
}

/// c (tile.keys, pp) += weights^T, packed across rows, times the packed terms b of the tile's queries.
template <class Of> void scatter(const Tile& tile, const float* weights, const float* b, Index pp, float* c) {
  for (Index j = 0; j < tile.keys; j += group) {
    if (tile.first_row(j) >= tile.rows) return;
    const Index t = tile.first_row(j) / Of::pairs;
    add_product<Of>(steps_of<Of>(tile.rows) - t, weights + t * tile_stride + j, 1, tile_stride, b + t * pp, c + j * pp,
                    pp);
  }
}

}  // namespace
}  // namespace crate::attend
