// attend_operand: what the products of the attention kernels read, compiled once per instruction set (see ops/simd.h).
// F32 reads the numbers as they are. Bf16 reads them rounded to bfloat16, two in the 32 bits of a float, and sums in
// f32: a step of a sum takes a pair of its terms. Memory is counted in floats either way: `pairs` terms each.
// Scores of bf16 products are those of the rounded rows: the factor of the scores is applied to the sums, not to the
// rows before they are rounded. So every form of the kernels has the same scores, and they stay symmetric.
#pragma once
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include "ops/simd.h"

namespace crate::attend {
namespace {

using simd::lanes;
using simd::Vec;
using Index = std::ptrdiff_t;

struct F32 {
  static constexpr Index pairs = 1;
  /// sum + a b over one step of the depth.
  [[gnu::always_inline]] static Vec add(Vec sum, float a, const float* b) {
    return simd::splat(a) * simd::load(b) + sum;
  }
  /// The factor of the scores, where it is applied: to what is packed, or to the sums.
  static float packed_factor(float factor) { return factor; }
  [[gnu::always_inline]] static Vec times_factor(Vec sum, float) { return sum; }
  /// A vector that is one row's, and one that is `pairs` rows'.
  [[gnu::always_inline]] static void put_row(float* to, Vec x) { simd::store(to, x); }
  [[gnu::always_inline]] static Vec join_rows(const Vec* x) { return x[0]; }
};

#if defined(__AVX512BF16__)
struct Bf16 {
  static constexpr Index pairs = 2;
  using Halves = std::int16_t __attribute__((vector_size(64)));
  [[gnu::always_inline]] static Vec add(Vec sum, float a, const float* b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_ps(a)),
                            reinterpret_cast<__m512bh>(simd::load(b)));
  }
  static float packed_factor(float) { return 1.0F; }
  [[gnu::always_inline]] static Vec times_factor(Vec sum, float factor) { return sum * factor; }
  [[gnu::always_inline]] static void put_row(float* to, Vec x) {
    const auto half = _mm512_cvtneps_pbh(x);
    __builtin_memcpy(to, &half, sizeof half);
  }
  [[gnu::always_inline]] static Vec join_rows(const Vec* x) {
    return interleave(std::make_integer_sequence<int, lanes>{},
                      reinterpret_cast<Halves>(_mm512_cvtne2ps_pbh(x[1], x[0])));
  }

 private:
  template <int... I> [[gnu::always_inline]] static Vec interleave(std::integer_sequence<int, I...>, Halves x) {
    // Two shuffles' worth of numbers, in one: element 2i is the first row's, 2i + 1 the second's.
    return reinterpret_cast<Vec>(
        __builtin_shufflevector(x, x, (I / 2 + I % 2 * lanes)..., (lanes / 2 + I / 2 + I % 2 * lanes)...));
  }
};
#endif

}  // namespace
}  // namespace crate::attend
