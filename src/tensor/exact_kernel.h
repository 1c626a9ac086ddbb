// exact_kernel: the product of tensor/exact.h in registers, compiled once an instruction set: blocks of 6 rows by up to
// 4 vectors (AVX-512) or 2 (AVX2) of c. Internal linkage: see tensor/simd.h.
#pragma once
#include <immintrin.h>

#include <cstring>
#include <utility>

#include "tensor/exact.h"

namespace crate {
namespace {

#if defined(__AVX512F__)
using Vec = __m512;
inline constexpr int lanes = 16, most_vectors = 4;
[[gnu::always_inline]] inline Vec load(const float* x) { return _mm512_loadu_ps(x); }
[[gnu::always_inline]] inline void store(float* to, Vec x) { _mm512_storeu_ps(to, x); }
[[gnu::always_inline]] inline Vec splat(float x) { return _mm512_set1_ps(x); }
[[gnu::always_inline]] inline Vec fused(Vec x, Vec y, Vec z) { return _mm512_fmadd_ps(x, y, z); }
#else
using Vec = __m256;
inline constexpr int lanes = 8, most_vectors = 2;
[[gnu::always_inline]] inline Vec load(const float* x) { return _mm256_loadu_ps(x); }
[[gnu::always_inline]] inline void store(float* to, Vec x) { _mm256_storeu_ps(to, x); }
[[gnu::always_inline]] inline Vec splat(float x) { return _mm256_set1_ps(x); }
[[gnu::always_inline]] inline Vec fused(Vec x, Vec y, Vec z) { return _mm256_fmadd_ps(x, y, z); }
#endif

inline constexpr int group = 6;  // rows of a block
inline constexpr int64_t panel = int64_t{most_vectors} * lanes;

struct Rows {
  const float* at;
  int64_t row, step;
};

// The sums are named by a parameter pack: an array indexed in loops was left in memory by both compilers.
template <int vecs, int... I>
[[gnu::always_inline]] inline void block(std::integer_sequence<int, I...>, int64_t depth, Rows a, const float* b,
                                         float* c, int64_t c_row, bool add) {
  Vec sums[sizeof...(I)] = {(add ? load(c + (I / vecs) * c_row + (I % vecs) * lanes) : Vec{})...};
  const float* at = a.at;
#pragma GCC unroll 2
  for (int64_t l = 0; l < depth; ++l, at += a.step, b += panel)
    ((sums[I] = fused(splat(at[(I / vecs) * a.row]), load(b + (I % vecs) * lanes), sums[I])), ...);
  (store(c + (I / vecs) * c_row + (I % vecs) * lanes, sums[I]), ...);
}

template <int rows, int vecs> void block(int64_t depth, Rows a, const float* b, float* c, int64_t c_row, bool add) {
  block<vecs>(std::make_integer_sequence<int, rows * vecs>{}, depth, a, b, c, c_row, add);
}

using Block = void (*)(int64_t, Rows, const float*, float*, int64_t, bool);

template <int... I> constexpr Block block_of(std::integer_sequence<int, I...>, int64_t rows, int64_t vecs) {
  constexpr Block all[] = {block<I / most_vectors + 1, I % most_vectors + 1>...};
  return all[(rows - 1) * most_vectors + vecs - 1];
}

// Columns that do not fill a vector go through a copy of c.
inline void edge_block(int64_t rows, int64_t cols, int64_t vecs, int64_t depth, Rows a, const float* b, float* c,
                       int64_t c_row, bool add) {
  float copy[group * panel] = {};
  for (int64_t i = 0; add && i < rows; ++i)
    std::memcpy(copy + i * panel, c + i * c_row, static_cast<std::size_t>(cols) * sizeof(float));
  block_of(std::make_integer_sequence<int, group * most_vectors>{}, rows, vecs)(depth, a, b, copy, panel, add);
  for (int64_t i = 0; i < rows; ++i)
    std::memcpy(c + i * c_row, copy + i * panel, static_cast<std::size_t>(cols) * sizeof(float));
}

inline void product(int64_t rows, int64_t cols, int64_t depth, const float* a, int64_t a_row, int64_t a_step,
                    const float* b, float* c, int64_t c_row, bool add) {
  const int64_t vecs = (cols + lanes - 1) / lanes;
  for (int64_t i = 0; i < rows; i += group) {
    const int64_t now = rows - i < group ? rows - i : group;
    const Rows from{a + i * a_row, a_row, a_step};
    if (cols % lanes == 0)
      block_of(std::make_integer_sequence<int, group * most_vectors>{}, now, vecs)(depth, from, b, c + i * c_row, c_row,
                                                                                   add);
    else
      edge_block(now, cols, vecs, depth, from, b, c + i * c_row, c_row, add);
  }
}

}  // namespace
}  // namespace crate
