// attend_operand: what the products of the attention kernels read, compiled once per instruction set (see
// tensor/simd.h). F32 reads the numbers as they are. Bf16 reads them rounded to bfloat16, two in the 32 bits of a
// float, and sums in f32: a step of a sum takes a pair of its terms. Memory is counted in floats either way: `pairs`
// terms each. Scores of bf16 products are those of the rounded rows: their factor is applied to the sums, not to the
// rows before they are rounded. So all forms and passes have the same scores, they stay symmetric, and lse is exact for
// them. The weights and slopes are rounded where they are read as factors; totals, lse, norms, guard and running
// softmax are f32.
//
// Measured on a Zen 5 core, f32 over bf16 in turns, medians, heads of 48 and 64 (errors there: o 2e-3, gradients 5e-3):
//                          n = 50      197         512         1024
//   forward   symmetric    1.16-1.23   1.50-1.57   1.5-1.8     1.65-1.8
//             general      1.19-1.24   1.48-1.56   1.5-1.8     1.65-1.8
//             causal       1.11-1.17   1.38-1.50   1.24-1.6    1.45-1.6
//   backward  symmetric    1.25-1.36   1.56-1.67   1.35-1.9    1.7-1.8
//             general      1.33-1.43   1.54-1.65   1.4-1.8     1.65-1.75
//             causal       1.20-1.30   1.44-1.57   1.5-1.8     1.65-1.7
// Products alone would give 2; 2^x, packing and the sums of c that go through memory stay.
// Tried: a tile's weights rounded once for both packings (one conversion and halves of it) or twice: no difference.
#pragma once
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include "tensor/simd.h"

namespace crate::attend {
namespace {

using simd::lanes;
using simd::Vec;
using Index = std::ptrdiff_t;

struct F32 {
  static constexpr Index pairs = 1;
  static constexpr float largest_score = __builtin_inff();  // that the symmetric form takes
  /// sum + a b over one step of the depth.
  [[gnu::always_inline]] static Vec add(Vec sum, float a, const float* b) {
    return simd::splat(a) * simd::load(b) + sum;
  }
  /// The factor of the scores, where it is applied: to the rows that are packed, or to the sums.
  static float packed_factor(float factor) { return factor; }
  [[gnu::always_inline]] static Vec times_factor(Vec sum, float) { return sum; }
  /// A vector of a row, packed along the row.
  [[gnu::always_inline]] static void put_along(float* to, Vec x) { simd::store(to, x); }
  /// The same vector of `pairs` rows, packed across them.
  [[gnu::always_inline]] static void put_across(float* to, const Vec* x) { simd::store(to, x[0]); }
  /// Both; row k's own goes to along + k * stride. In f32 they are one.
  [[gnu::always_inline]] static void put(float*, Index, float* across, const Vec* x) { simd::store(across, x[0]); }
};

#if defined(__AVX512BF16__)
struct Bf16 {
  static constexpr Index pairs = 2;
  static constexpr float largest_score = 256.0F;
  using Halves = std::int16_t __attribute__((vector_size(64)));

  [[gnu::always_inline]] static Vec add(Vec sum, float a, const float* b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_ps(a)),
                            reinterpret_cast<__m512bh>(simd::load(b)));
  }
  static float packed_factor(float) { return 1.0F; }
  [[gnu::always_inline]] static Vec times_factor(Vec sum, float factor) { return sum * factor; }
  [[gnu::always_inline]] static void put_along(float* to, Vec x) {
    const auto half = _mm512_cvtneps_pbh(x);
    __builtin_memcpy(to, &half, sizeof half);
  }
  [[gnu::always_inline]] static void put_across(float* to, const Vec* x) { interleave(in_order{}, round(x), to); }
  [[gnu::always_inline]] static void put(float* along, Index stride, float* across, const Vec* x) {
    const Halves rows = round(x);
    __builtin_memcpy(along, &rows, sizeof rows / 2);
    __builtin_memcpy(along + stride, reinterpret_cast<const char*>(&rows) + sizeof rows / 2, sizeof rows / 2);
    interleave(in_order{}, rows, across);
  }

 private:
  using in_order = std::make_integer_sequence<int, 2 * lanes>;
  /// A vector of the first row, then that of the second.
  [[gnu::always_inline]] static Halves round(const Vec* x) {
    return reinterpret_cast<Halves>(_mm512_cvtne2ps_pbh(x[1], x[0]));
  }
  /// The two rows' numbers in turn.
  template <int... I>
  [[gnu::always_inline]] static void interleave(std::integer_sequence<int, I...>, Halves rows, float* to) {
    simd::store(to, reinterpret_cast<Vec>(__builtin_shufflevector(rows, rows, (I / 2 + I % 2 * lanes)...)));
  }
};
#endif

}  // namespace
}  // namespace crate::attend
