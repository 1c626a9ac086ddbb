// few_rows_kernel: the sums of tensor/few_rows.h, compiled once per instruction set (see tensor/simd.h).
//
// Tried, on one core of a shared two-core Zen 5 (its own reading loop: 41 GB/s a core), weights no cache holds, GB/s in
// f32 / bf16 / int8, each to be read with its tenth:
//   dots, 4 rows of w side by side                            27 / 17 / 17
//   one row after the other, two sums a dot                   27 / 20 / 26
//   four sums a dot, lines asked for 2 or 4 KiB ahead         34 / 35 / 38
//   four sums a dot, no line asked for                        39 / 35 / 39   a single stream is foreseen anyway
//   rows added, 4 at a time, the next 4 asked for meanwhile   43 / 40 / 27
// On a Zen 4 that was busy, GPT-2 of 124 M, one thread, three rounds in turn: lines asked for 1 or 4 KiB ahead change
// nothing in f32 and lose a tenth in bf16 and int8. Both cores: 55 to 74 GB/s where reading alone makes 60 to 65. Added
// rows in int8 become floats 16 numbers by three instructions, which limits them where nearly all atoms are named.
// AVX2, one thread of a 2-core Zen 3, shares of its own reading of 16 to 20 GB/s in bf16 / int8: two sums a dot 0.72 /
// 0.71; lines asked for 1 KiB ahead (0.5 to 4 tried) and four sums of int8 0.83 / 0.82. f32 reads 0.88 and loses by
// asking. Both threads, 12 layers of d 768, tokens a second, medians of three in turn: crate-one 142 to 179 and 268 to
// 295 (some of it by score_rows_kernel.h), gpt2 105 to 108 and 184 to 190.
// Not done: folding a norm's scale into the product behind it. Norms take 0.4 % of a token of crate-lm-12l in int8, the
// scale a third of that; and of f32, which is read where it lies, it would take a copy.
#pragma once
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "tensor/few_rows_table.h"
#include "tensor/simd.h"

namespace crate::few {
namespace {

using simd::IntVec;
using simd::lanes;
using simd::Vec;
using ShortVec = std::int16_t __attribute__((vector_size(2 * lanes * sizeof(std::int16_t))));

// ---- numbers of a weight, widened ----
// By name of the instruction: of __builtin_convertvector g++ 12 makes pieces of half a vector, and of bytes single
// numbers, 2 and 40 times slower.

template <class To, class From> [[gnu::always_inline]] inline To loaded(const From* from) {
  To x;
  __builtin_memcpy(&x, from, sizeof x);
  return x;
}

// All lanes by mask: the instruction is the same, and g++ 12 does not warn of the undefined lanes of its own header.
#if defined(__AVX512BW__)
[[gnu::always_inline]] inline IntVec high_halves(const Bf16* from) {
  return reinterpret_cast<IntVec>(_mm512_maskz_cvtepu16_epi32(0xFFFF, loaded<__m256i>(from))) << 16;
}
[[gnu::always_inline]] inline IntVec integers(const std::int8_t* from) {
  return reinterpret_cast<IntVec>(_mm512_maskz_cvtepi8_epi32(0xFFFF, loaded<__m128i>(from)));
}
[[gnu::always_inline]] inline ShortVec shorts(const std::int8_t* from) {
  return reinterpret_cast<ShortVec>(_mm512_maskz_cvtepi8_epi16(0xFFFFFFFF, loaded<__m256i>(from)));
}
[[gnu::always_inline]] inline IntVec pair_products(ShortVec x, ShortVec y) {
  return reinterpret_cast<IntVec>(_mm512_madd_epi16(reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(y)));
}
#elif defined(__AVX2__)
[[gnu::always_inline]] inline IntVec high_halves(const Bf16* from) {
  return reinterpret_cast<IntVec>(_mm256_cvtepu16_epi32(loaded<__m128i>(from))) << 16;
}
[[gnu::always_inline]] inline IntVec integers(const std::int8_t* from) {
  return reinterpret_cast<IntVec>(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
[[gnu::always_inline]] inline ShortVec shorts(const std::int8_t* from) {
  return reinterpret_cast<ShortVec>(_mm256_cvtepi8_epi16(loaded<__m128i>(from)));
}
[[gnu::always_inline]] inline IntVec pair_products(ShortVec x, ShortVec y) {
  return reinterpret_cast<IntVec>(_mm256_madd_epi16(reinterpret_cast<__m256i>(x), reinterpret_cast<__m256i>(y)));
}
#else
[[gnu::always_inline]] inline IntVec high_halves(const Bf16* from) {
  IntVec x;
  for (int i = 0; i < lanes; ++i) x[i] = static_cast<std::int32_t>(std::uint32_t{from[i].bits} << 16);
  return x;
}
[[gnu::always_inline]] inline IntVec integers(const std::int8_t* from) {
  IntVec x;
  for (int i = 0; i < lanes; ++i) x[i] = from[i];
  return x;
}
[[gnu::always_inline]] inline ShortVec shorts(const std::int8_t* from) {
  ShortVec x;
  for (int i = 0; i < 2 * lanes; ++i) x[i] = from[i];
  return x;
}
[[gnu::always_inline]] inline IntVec pair_products(ShortVec x, ShortVec y) {
  IntVec sums;
  for (int i = 0; i < lanes; ++i) sums[i] = x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1];
  return sums;
}
#endif

[[gnu::always_inline]] inline Vec widened(const float* from) { return simd::load(from); }
[[gnu::always_inline]] inline Vec widened(const Bf16* from) { return reinterpret_cast<Vec>(high_halves(from)); }
[[gnu::always_inline]] inline Vec widened(const std::int8_t* from) {
  return __builtin_convertvector(integers(from), Vec);
}

/// The first `count` < lanes; zeros behind them.
template <class W> [[gnu::always_inline]] inline Vec widened_first(const W* from, std::int64_t count) {
  W copy[lanes] = {};
  __builtin_memcpy(copy, from, static_cast<std::size_t>(count) * sizeof(W));
  return widened(copy);
}

// ---- dots ----

template <int step> [[gnu::always_inline]] inline IntVec plus_swapped(IntVec x) {
  return x + reinterpret_cast<IntVec>(simd::swap<step>(reinterpret_cast<Vec>(x)));
}
/// Of the lanes.
[[gnu::always_inline]] inline std::int32_t sum(IntVec x) {
  if constexpr (lanes == 16) x = plus_swapped<8>(x);
  if constexpr (lanes >= 8) x = plus_swapped<4>(x);
  x = plus_swapped<2>(x);
  x = plus_swapped<1>(x);
  return x[0];
}

/// A vector of sums, and how one step of it is taken.
template <class W> struct Dot {
  using Accumulator = Vec;
  static constexpr int step = lanes;
  [[gnu::always_inline]] static Vec more(Vec sum, const float* x, const W* w) {
    return sum + simd::load(x) * widened(w);
  }
  [[gnu::always_inline]] static float total(Vec sum) { return simd::sum(sum); }
};
template <> struct Dot<std::int8_t> {
  using Accumulator = IntVec;
  static constexpr int step = 2 * lanes;
  [[gnu::always_inline]] static IntVec more(IntVec sum, const std::int16_t* x, const std::int8_t* w) {
    return sum + pair_products(loaded<ShortVec>(x), shorts(w));
  }
  [[gnu::always_inline]] static std::int32_t total(IntVec sum) { return few::sum(sum); }
};

/// The first `count` <= step numbers.
template <class W>
[[gnu::always_inline]] inline typename Dot<W>::Accumulator more_rest(typename Dot<W>::Accumulator sum,
                                                                     const typename Sums<W>::X* from_x, const W* from_w,
                                                                     std::int64_t count) {
  typename Sums<W>::X x[Dot<W>::step] = {};
  W w[Dot<W>::step] = {};
  __builtin_memcpy(x, from_x, static_cast<std::size_t>(count) * sizeof *x);
  __builtin_memcpy(w, from_w, static_cast<std::size_t>(count) * sizeof *w);
  return Dot<W>::more(sum, x, w);
}

inline constexpr int tile = 4;  // rows of x at once
/// Of sums in a dot: they hide each other's latency. Whole numbers add up to the same in any order, so a row alone may
/// have more of them.
template <int m, class W>
inline constexpr int chains = std::is_same_v<W, std::int8_t>&& m == 1 ? 4 : simd::registers / 2 / tile;

/// Lines of bf16 and int8 are asked for in time.
inline constexpr bool asks_ahead = lanes == 8;

/// m rows of x against one row of w, sum I of row I % m. Named by a parameter pack: see exact_kernel.h.
template <int m, class W, int... I>
[[gnu::always_inline]] inline void dot_row(std::integer_sequence<int, I...>, const typename Sums<W>::X* x, const W* w,
                                           std::int64_t k, typename Sums<W>::Sum* sums) {
  using D = Dot<W>;
  constexpr int many = chains<m, W>, stride = many * D::step;
  typename D::Accumulator at[] = {(static_cast<void>(I), typename D::Accumulator{})...};
  std::int64_t l = 0;
  constexpr std::int64_t size = sizeof(W), ahead = 1024 / size, line = 64 / size;
  for (; l + stride <= k; l += stride) {
    for (std::int64_t t = 0; asks_ahead && size < 4 && t < stride; t += line) __builtin_prefetch(w + l + ahead + t);
    ((at[I] = D::more(at[I], x + (I % m) * k + l + I / m * D::step, w + l + I / m * D::step)), ...);
  }
  for (; l < k; l += D::step) {
    const std::int64_t count = k - l < D::step ? k - l : D::step;
    ((I < m ? static_cast<void>(at[I] = more_rest<W>(at[I], x + I * k + l, w + l, count)) : void()), ...);
  }
  constexpr int second = m, third = many == 4 ? 2 * m : 0, fourth = many == 4 ? 3 * m : 0;
  const auto total = [](auto a, auto b, auto c, auto d) { return D::total(many == 4 ? (a + c) + (b + d) : a + b); };
  ((I < m ? static_cast<void>(sums[I * most_sums] =
                                  total(at[I], at[second + I % m], at[third + I % m], at[fourth + I % m]))
          : void()),
   ...);
}

template <int m, class W>
[[gnu::always_inline]] inline void dot_row(const typename Sums<W>::X* x, const W* w, std::int64_t k,
                                           typename Sums<W>::Sum* sums) {
  dot_row<m>(std::make_integer_sequence<int, chains<m, W> * m>{}, x, w, k, sums);
}

/// After the first `tile` rows of x, the row of w comes from the first cache.
template <class W>
void dots(const typename Sums<W>::X* x, std::int64_t m, const W* w, std::int64_t count, std::int64_t k,
          typename Sums<W>::Sum* sums) {
  for (std::int64_t j = 0; j < count; ++j, w += k, ++sums) {
    std::int64_t i = 0;
    for (; i + tile <= m; i += tile) dot_row<tile>(x + i * k, w, k, sums + i * most_sums);
    if (m - i == 3) dot_row<3>(x + i * k, w, k, sums + i * most_sums);
    if (m - i == 2) dot_row<2>(x + i * k, w, k, sums + i * most_sums);
    if (m - i == 1) dot_row<1>(x + i * k, w, k, sums + i * most_sums);
  }
}

// ---- sums of rows ----

/// y (n) += `count` rows of w; the lines at the same places of the `next` ones are asked for meanwhile.
template <class W, int... I>
[[gnu::always_inline]] inline void add_tile(std::integer_sequence<int, I...>, const std::int32_t* at,
                                            const std::int32_t* next, const float* factor, const W* w, std::int64_t n,
                                            float* y) {
  const W* rows[] = {(w + at[I] * n)...};
  const W* coming[] = {(w + next[I] * n)...};
  const Vec by[] = {simd::splat(factor[I])...};
  std::int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    (__builtin_prefetch(coming[I] + j), ...);
    Vec sum = simd::load(y + j);
    ((sum += by[I] * widened(rows[I] + j)), ...);
    simd::store(y + j, sum);
  }
  if (j == n) return;
  Vec sum = simd::load_first(y + j, n - j);
  ((sum += by[I] * widened_first(rows[I] + j, n - j)), ...);
  simd::store_first(y + j, sum, n - j);
}

template <class W>
void add_rows(const std::int32_t* at, const float* factor, std::int64_t count, const W* w, std::int64_t n, float* y) {
  constexpr int group = 4;
  std::int64_t t = 0;
  for (; t + group <= count; t += group) {
    const std::int32_t* next = t + 2 * group <= count ? at + t + group : at + t;
    add_tile(std::make_integer_sequence<int, group>{}, at + t, next, factor + t, w, n, y);
  }
  for (; t < count; ++t) add_tile(std::make_integer_sequence<int, 1>{}, at + t, at + t, factor + t, w, n, y);
}

// ---- which rows ----

inline std::int64_t name(const float* x, std::int64_t n, std::int32_t first, std::int32_t* at, float* factor) {
  std::int64_t count = 0, t = 0;
#if defined(__AVX512F__)
  const __m512i counting = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (; t + lanes <= n; t += lanes) {
    const __m512 values = _mm512_loadu_ps(x + t);
    const __mmask16 named = _mm512_cmp_ps_mask(values, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    const __m512i places = _mm512_add_epi32(counting, _mm512_set1_epi32(first + static_cast<std::int32_t>(t)));
    _mm512_storeu_si512(at + count, _mm512_maskz_compress_epi32(named, places));
    _mm512_storeu_ps(factor + count, _mm512_maskz_compress_ps(named, values));
    count += __builtin_popcount(named);
  }
#endif
  for (; t < n; ++t) {
    at[count] = first + static_cast<std::int32_t>(t);
    factor[count] = x[t];
    count += x[t] != 0 ? 1 : 0;
  }
  return count;
}

inline constexpr Table table{
    name, {dots<float>, add_rows<float>}, {dots<Bf16>, add_rows<Bf16>}, {dots<std::int8_t>, add_rows<std::int8_t>}};

}  // namespace
}  // namespace crate::few
