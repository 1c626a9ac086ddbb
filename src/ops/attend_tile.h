// attend_tile: the parts of the attention kernels, compiled once per instruction set (see tensor/simd.h).
// Letters: p width of a head, pp = p rounded up to whole vectors. Packed rows lie pp apart, zero beyond p. Packed
// panels hold keys transposed, `panel` keys side by side: panel c is p rows of `panel` floats, zero beyond the last
// key.
#pragma once
#include <utility>

#include "ops/attend_core.h"
#include "ops/attend_table.h"
#include "tensor/simd.h"

namespace crate::attend {
namespace {

using simd::lanes;
using simd::Vec;
using Index = std::ptrdiff_t;
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

/// c (group, vecs vectors; rows c_row apart) = or += a b over `depth` terms: a(i, t) = a[i * a_row + t * a_step],
/// row t of b from b + t * b_row. The sums stay in registers: they are named by a parameter pack, because an array
/// indexed in loops was left in memory by both compilers (4x slower). They start at 0 and c is added last: started at
/// c, they went through the stack (7% slower at a depth of 48, 3% at 96).
template <bool add, int vecs, int... I>
[[gnu::always_inline]] inline void block(std::integer_sequence<int, I...>, Index depth, const float* a, Index a_row,
                                         Index a_step, const float* b, Index b_row, float* c, Index c_row) {
  Vec sums[sizeof...(I)] = {(static_cast<void>(I), Vec{})...};
#pragma GCC unroll 4
  for (Index t = 0; t < depth; ++t, a += a_step, b += b_row) {
    ((sums[I] = simd::splat(a[(I / vecs) * a_row]) * simd::load(b + (I % vecs) * lanes) + sums[I]), ...);
  }
  const auto at = [&](int i) { return c + (i / vecs) * c_row + (i % vecs) * lanes; };
  (simd::store(at(I), add ? simd::load(at(I)) + sums[I] : sums[I]), ...);
}

template <bool add, int vecs, int rows = group>
[[gnu::noinline]] void product(Index depth, const float* a, Index a_row, Index a_step, const float* b, Index b_row,
                               float* c, Index c_row) {
  block<add, vecs>(std::make_integer_sequence<int, rows * vecs>{}, depth, a, a_row, a_step, b, b_row, c, c_row);
}

/// product for 1 <= vecs <= wide known at run time.
template <bool add, int rows = group>
void product(Index vecs, Index depth, const float* a, Index a_row, Index a_step, const float* b, Index b_row, float* c,
             Index c_row) {
  if constexpr (wide == 4) {
    if (vecs == 4) return product<add, 4, rows>(depth, a, a_row, a_step, b, b_row, c, c_row);
    if (vecs == 3) return product<add, 3, rows>(depth, a, a_row, a_step, b, b_row, c, c_row);
  }
  if (vecs == 2) return product<add, 2, rows>(depth, a, a_row, a_step, b, b_row, c, c_row);
  product<add, 1, rows>(depth, a, a_row, a_step, b, b_row, c, c_row);
}

/// c += a b for b and c of any width in whole vectors, both with rows `width` apart.
inline void add_product(Index depth, const float* a, Index a_row, Index a_step, const float* b, float* c, Index width) {
  for (Index column = 0; column < width; column += panel) {
    const Index vecs = least(panel, width - column) / lanes;
    product<true>(vecs, depth, a, a_row, a_step, b + column, width, c + column, width);
  }
}

/// to = factor * the rows, packed; then `padding` rows of zeros.
inline void pack_rows(Rows from, Index rows, Index padding, Index p, float factor, float* to) {
  const Index pp = round_up(p, lanes);
  for (Index i = 0; i < rows; ++i, to += pp) {
    const float* row = from.at + i * from.stride;
    Index c = 0;
    for (; c + lanes <= p; c += lanes) simd::store(to + c, simd::load(row + c) * factor);
    if (c < p) simd::store(to + c, simd::load_first(row + c, p - c) * factor);
  }
  for (Index i = 0; i < padding * pp; i += lanes) simd::store(to + i, Vec{});
}

/// n packed rows, times factor, to packed panels.
inline void pack_panels(const float* rows, Index n, Index p, float factor, float* to) {
  const Index pp = round_up(p, lanes);
  for (Index j = 0; j < round_up(n, panel); j += lanes) {
    float* column = to + j / panel * panel * p + j % panel;
    for (Index c = 0; c < p; c += lanes) {
      Vec square[lanes];
      for (Index i = 0; i < lanes; ++i) square[i] = j + i < n ? simd::load(rows + (j + i) * pp + c) * factor : Vec{};
      simd::transpose(square);
      for (Index i = 0; i < least(lanes, p - c); ++i) simd::store(column + (c + i) * panel, square[i]);
    }
  }
}

inline void scale_row(float* row, Index width, float factor) {
  for (Index c = 0; c < width; c += lanes) simd::store(row + c, simd::load(row + c) * factor);
}

/// Product of a packed row with one that lies at any place.
inline float dot_row(const float* packed, const float* row, Index p) {
  Vec dot{};
  Index c = 0;
  for (; c + lanes <= p; c += lanes) dot = simd::load(packed + c) * simd::load(row + c) + dot;
  if (c < p) dot = simd::load(packed + c) * simd::load_first(row + c, p - c) + dot;
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

/// Its part of products (rows of the tile, tile_stride apart) = or += packed rows a times the panels.
template <bool add>
void block_product(const Tile& tile, const Block& at, Index p, const float* a, const float* panels, float* products) {
  const Index pp = round_up(p, lanes);
  product<add>(at.vecs, p, a + at.r * pp, pp, 1, panels + (tile.key0 + at.j) * p, panel,
               products + at.r * tile_stride + at.j, tile_stride);
}

/// products = packed rows a times the panels, for the keys that are seen.
inline void score(const Tile& tile, Index p, const float* a, const float* panels, float* products) {
  for_blocks(tile, [&](const Block& at) { block_product<false>(tile, at, p, a, panels, products); });
}

/// Zeros after the `seen` keys of a row, as far as a group of rows or of keys reaches beyond them.
inline void clear_after(float* row, Index seen) {
  Index j = seen / lanes * lanes;
  simd::store(row + j, simd::blend_first(simd::load(row + j), Vec{}, seen - j));
  for (j += lanes; j < seen + group; j += lanes) simd::store(row + j, Vec{});
}

/// c (tile.rows, width) += weights times the tile's packed rows of b (width = pp).
inline void gather(const Tile& tile, const float* weights, const float* b, Index width, float* c) {
  for (Index r = 0; r < tile.rows; r += group) {
    const Index depth = tile.seen_by_group(r);
    if (depth > 0) add_product(depth, weights + r * tile_stride, tile_stride, 1, b, c + r * width, width);
  }
}

/// c (tile.keys, width) += weights^T times packed rows b of the tile's queries.
inline void scatter(const Tile& tile, const float* weights, const float* b, Index width, float* c) {
  for (Index j = 0; j < tile.keys; j += group) {
    const Index r = tile.first_row(j);
    if (r >= tile.rows) return;
    add_product(tile.rows - r, weights + r * tile_stride + j, 1, tile_stride, b + r * width, c + j * width, width);
  }
}

}  // namespace
}  // namespace crate::attend
