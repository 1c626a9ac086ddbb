// outer_sum_kernel: the kernels of tensor/outer_sum.h, compiled once for each kind of operand. `Step` tells how: a step
// of a sum takes one row of both operands (f32) or a pair of rows (bf16), 32 bits a column either way.
// Internal linkage: see tensor/simd.h. Measured on one busy Zen 5 core, (m, n, k) = (1536, 384, 8192), GFLOP/s in turn
// with oneDNN 2.6 (f32 147 to 157, bf16 268 to 307, its rounding pass not counted):
//   a packed in sixes, c not fetched ahead   f32 150 to 185, bf16 262 to 320
//   a in strips of 48, next c fetched ahead  f32 160 to 182, bf16 290 to 338; the registers alone do 236 and 472
//   bf16 that lies there is paired as it is, for which alpha is left to the sums, and asked for 16 rows ahead, on a Zen
//   5 of 472 where it had been made wide, scaled and rounded again: 381 to 433, (960, 192, 6144) 341 to 405, (192, 192,
//   6144) 270 to 390; without asking ahead 421, 398 and 380
//   AVX2, blocks of 6 x 16 on a Zen 3 core: f32 66 to 76, dnnl_sgemm in slices of 512 rows 71 to 86; not taken
//   rows a chunk: 64 to 384 tried, 256 is among the best in all shapes of the models
#pragma once
#include <immintrin.h>

#include <cstring>
#include <utility>

#include "tensor/outer_sum.h"

namespace crate {
namespace {

inline constexpr int lanes = 16, vectors = 4, group = 6;

struct F32Step {
  static constexpr int64_t rows = 1;
  static __m512 load_rows(const float* x, int64_t, bool, __mmask16 mask) { return _mm512_maskz_loadu_ps(mask, x); }
  [[gnu::always_inline]] static __m512 add(__m512 sum, float a, const float* b) {
    return _mm512_fmadd_ps(_mm512_set1_ps(a), _mm512_loadu_ps(b), sum);
  }
};

#if defined(__AVX512BF16__)
/// Two bf16 in the 32 bits of a float, the earlier row below.
struct Bf16Step {
  static constexpr int64_t rows = 2;
  static constexpr __mmask16 all = 0xFFFF;
  // The plain forms of these draw a false warning from g++ 12.
  static __m512i half(const float* x, __mmask16 mask) {
    const __m512 row = _mm512_maskz_loadu_ps(mask, x);
    return _mm512_maskz_cvtepu16_epi32(all, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(row)));
  }
  static __m512i half(const uint16_t* x, __mmask16 mask) {
    return _mm512_maskz_cvtepu16_epi32(all, _mm256_maskz_loadu_epi16(mask, x));
  }
  template <class T> static __m512 load_rows(const T* x, int64_t n, bool second, __mmask16 mask) {
    const __m512i below = half(x, mask);
    if (!second) return _mm512_castsi512_ps(below);
    return _mm512_castsi512_ps(_mm512_or_si512(below, _mm512_maskz_slli_epi32(all, half(x + n, mask), 16)));
  }
  [[gnu::always_inline]] static __m512 add(__m512 sum, float a, const float* b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_ps(a)),
                            reinterpret_cast<__m512bh>(_mm512_loadu_ps(b)));
  }
};
#endif

template <class Step, class T, int64_t width>
void pack(const void* matrix, int64_t n, int64_t lo, int64_t cols, int64_t rows, void* to) {
  constexpr int64_t ahead = 16, line = 64 / sizeof(T);  // strips of a row are too short for the processor to foresee
  const auto* from = static_cast<const T*>(matrix);
  auto* out = static_cast<float*>(to);
  for (int64_t t = 0; t < rows; t += Step::rows, out += width) {
    for (int64_t next = ahead; next < ahead + Step::rows; ++next)
      for (int64_t j = 0; j < width; j += line) _mm_prefetch(from + (t + next) * n + lo + j, _MM_HINT_T0);
    for (int64_t j = 0; j < width; j += lanes) {
      const int64_t left = cols - lo - j;
      const auto mask = static_cast<__mmask16>(left >= lanes ? 0xFFFF : left > 0 ? (1 << left) - 1 : 0);
      _mm512_storeu_ps(out + j, Step::load_rows(from + t * n + lo + j, n, t + 1 < rows, mask));
    }
  }
}

// The sums are named by a parameter pack: an array indexed in loops was left in memory by both compilers.
template <class Step, int... I>
[[gnu::always_inline]] inline void block(std::integer_sequence<int, I...>, int64_t steps, const float* a,
                                         const float* b, float* c, int64_t n, float alpha, bool add) {
  __m512 sums[sizeof...(I)] = {(static_cast<void>(I), __m512{})...};
  (_mm_prefetch(c + (group + I / vectors) * n + (I % vectors) * lanes, _MM_HINT_T0), ...);  // the next block's
#pragma GCC unroll 2
  for (int64_t t = 0; t < steps; ++t, a += OuterKernels::strip, b += OuterKernels::panel)
    ((sums[I] = Step::add(sums[I], a[I / vectors], b + (I % vectors) * lanes)), ...);
  const __m512 factor = _mm512_set1_ps(alpha);
  const auto at = [&](int i) { return c + (i / vectors) * n + (i % vectors) * lanes; };
  (_mm512_storeu_ps(at(I), _mm512_fmadd_ps(sums[I], factor, add ? _mm512_loadu_ps(at(I)) : __m512{})), ...);
}

template <class Step>
[[gnu::noinline]] void whole_block(int64_t steps, const float* a, const float* b, float* c, int64_t n, float alpha,
                                   bool add) {
  block<Step>(std::make_integer_sequence<int, group * vectors>{}, steps, a, b, c, n, alpha, add);
}

// A block that c holds only a part of.
template <class Step>
void part_block(int64_t steps, const float* a, const float* b, float* c, int64_t n, int64_t rows, int64_t cols,
                float alpha, bool add) {
  float sums[2 * group * OuterKernels::panel];  // the second half is only fetched
  whole_block<Step>(steps, a, b, sums, OuterKernels::panel, alpha, false);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) c[i * n + j] = (add ? c[i * n + j] : 0) + sums[i * OuterKernels::panel + j];
  }
}

template <class Step>
void multiply(const void* strip, const void* panel, int64_t depth, float* c, int64_t n, int64_t rows, int64_t cols,
              float alpha, bool add) {
  const int64_t steps = (depth + Step::rows - 1) / Step::rows;
  const auto *a = static_cast<const float*>(strip), *b = static_cast<const float*>(panel);
  for (int64_t i = 0; i < rows; i += group) {
    if (rows - i >= group && cols == OuterKernels::panel)
      whole_block<Step>(steps, a + i, b, c + i * n, n, alpha, add);
    else
      part_block<Step>(steps, a + i, b, c + i * n, n, rows - i < group ? rows - i : group, cols, alpha, add);
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
