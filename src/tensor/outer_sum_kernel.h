// outer_sum_kernel: the kernels of tensor/outer_sum.h, compiled once for each kind of operand. `Step` tells how: a step
// of a sum takes one row of both operands (f32) or a pair of rows (bf16), 32 bits a column either way. Where the
// operands lie as bf16 already, a pair of rows is made wide, scaled and rounded as those in f32 are.
// Internal linkage: see tensor/simd.h. Measured on one busy Zen 5 core, (m, n, k) = (1536, 384, 8192), GFLOP/s in turn
// with oneDNN 2.6 (f32 147 to 157, bf16 268 to 307, its rounding pass not counted):
//   a packed in sixes, c not fetched ahead   f32 150 to 185, bf16 262 to 320
//   a in strips of 48, next c fetched ahead  f32 160 to 182, bf16 290 to 338; the registers alone do 236 and 472
//   rows a chunk: 64 to 384 tried, 256 is among the best in all shapes of the models
#pragma once
#include <immintrin.h>

#include <cstring>
#include <utility>

#include "tensor/outer_sum.h"

namespace crate {
namespace {

inline constexpr int lanes = 16, vectors = 4, group = 6;

[[gnu::always_inline]] inline __m512 load(const float* x, __mmask16 mask) { return _mm512_maskz_loadu_ps(mask, x); }
/// Numbers of bf16, made wide.
[[gnu::always_inline]] inline __m512 load(const uint16_t* x, __mmask16 mask) {
  constexpr __mmask16 all = 0xFFFF;  // the plain forms of these draw a false warning from g++ 12
  const __m512i wide = _mm512_maskz_cvtepu16_epi32(all, _mm256_maskz_loadu_epi16(mask, x));
  return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(all, wide, 16));
}

struct F32Step {
  static constexpr int64_t rows = 1;
  static __m512 load_rows(const float* x, int64_t, bool, __mmask16 mask, __m512 alpha) {
    return _mm512_mul_ps(load(x, mask), alpha);
  }
  [[gnu::always_inline]] static __m512 add(__m512 sum, float a, const float* b) {
    return _mm512_fmadd_ps(_mm512_set1_ps(a), _mm512_loadu_ps(b), sum);
  }
};

#if defined(__AVX512BF16__)
/// Two bf16 in the 32 bits of a float, the earlier row below.
struct Bf16Step {
  static constexpr int64_t rows = 2;
  static constexpr __mmask16 all = 0xFFFF;
  template <class T> static __m512i half(const T* x, __mmask16 mask, __m512 alpha) {
    const __m512 scaled = _mm512_mul_ps(load(x, mask), alpha);
    // The plain forms of these two draw a false warning from g++ 12.
    return _mm512_maskz_cvtepu16_epi32(all, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(scaled)));
  }
  template <class T> static __m512 load_rows(const T* x, int64_t n, bool second, __mmask16 mask, __m512 alpha) {
    const __m512i below = half(x, mask, alpha);
    if (!second) return _mm512_castsi512_ps(below);
    return _mm512_castsi512_ps(_mm512_or_si512(below, _mm512_maskz_slli_epi32(all, half(x + n, mask, alpha), 16)));
  }
  [[gnu::always_inline]] static __m512 add(__m512 sum, float a, const float* b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_ps(a)),
                            reinterpret_cast<__m512bh>(_mm512_loadu_ps(b)));
  }
};
#endif

template <class Step, class T, int64_t width>
void pack(const void* matrix, int64_t n, int64_t lo, int64_t cols, int64_t rows, float alpha, void* to) {
  const auto* from = static_cast<const T*>(matrix);
  const __m512 factor = _mm512_set1_ps(alpha);
  auto* out = static_cast<float*>(to);
  for (int64_t t = 0; t < rows; t += Step::rows, out += width) {
    for (int64_t j = 0; j < width; j += lanes) {
      const int64_t left = cols - lo - j;
      const auto mask = static_cast<__mmask16>(left >= lanes ? 0xFFFF : left > 0 ? (1 << left) - 1 : 0);
      _mm512_storeu_ps(out + j, Step::load_rows(from + t * n + lo + j, n, t + 1 < rows, mask, factor));
    }
  }
}

// The sums are named by a parameter pack: an array indexed in loops was left in memory by both compilers.
template <class Step, int... I>
[[gnu::always_inline]] inline void block(std::integer_sequence<int, I...>, int64_t steps, const float* a,
                                         const float* b, float* c, int64_t n, bool add) {
  __m512 sums[sizeof...(I)] = {(add ? _mm512_loadu_ps(c + (I / vectors) * n + (I % vectors) * lanes) : __m512{})...};
  (_mm_prefetch(c + (group + I / vectors) * n + (I % vectors) * lanes, _MM_HINT_T0), ...);  // the next block's
#pragma GCC unroll 2
  for (int64_t t = 0; t < steps; ++t, a += OuterKernels::strip, b += OuterKernels::panel)
    ((sums[I] = Step::add(sums[I], a[I / vectors], b + (I % vectors) * lanes)), ...);
  (_mm512_storeu_ps(c + (I / vectors) * n + (I % vectors) * lanes, sums[I]), ...);
}

template <class Step>
[[gnu::noinline]] void whole_block(int64_t steps, const float* a, const float* b, float* c, int64_t n, bool add) {
  block<Step>(std::make_integer_sequence<int, group * vectors>{}, steps, a, b, c, n, add);
}

// A block that c holds only a part of.
template <class Step>
void part_block(int64_t steps, const float* a, const float* b, float* c, int64_t n, int64_t rows, int64_t cols,
                bool add) {
  float sums[2 * group * OuterKernels::panel];  // the second half is only fetched
  whole_block<Step>(steps, a, b, sums, OuterKernels::panel, false);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) c[i * n + j] = (add ? c[i * n + j] : 0) + sums[i * OuterKernels::panel + j];
  }
}

template <class Step>
void multiply(const void* strip, const void* panel, int64_t depth, float* c, int64_t n, int64_t rows, int64_t cols,
              bool add) {
  const int64_t steps = (depth + Step::rows - 1) / Step::rows;
  const auto *a = static_cast<const float*>(strip), *b = static_cast<const float*>(panel);
  for (int64_t i = 0; i < rows; i += group) {
    if (rows - i >= group && cols == OuterKernels::panel)
      whole_block<Step>(steps, a + i, b, c + i * n, n, add);
    else
      part_block<Step>(steps, a + i, b, c + i * n, n, rows - i < group ? rows - i : group, cols, add);
  }
}

template <class Step, class T>
inline constexpr OuterKernels::From packing{pack<Step, T, OuterKernels::strip>, pack<Step, T, OuterKernels::panel>};

template <class Step> constexpr OuterKernels outer_table() {
  OuterKernels kernels{packing<Step, float>, {}, multiply<Step>, static_cast<int64_t>(sizeof(float)) / Step::rows, 256};
  if constexpr (Step::rows > 1) kernels.bf16 = packing<Step, uint16_t>;
  return kernels;
}

}  // namespace
}  // namespace crate
