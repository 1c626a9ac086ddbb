// few_rows_kernel: the sums of tensor/few_rows.h, compiled once per instruction set (see tensor/simd.h).
#pragma once
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

/// Row by row zeros behind the first `count` < step numbers.
template <class W> struct Rest {
  typename Sums<W>::X x[Dot<W>::step] = {};
  W w[Dot<W>::step] = {};
  [[gnu::always_inline]] Rest(const typename Sums<W>::X* from_x, const W* from_w, std::int64_t count) {
    __builtin_memcpy(x, from_x, static_cast<std::size_t>(count) * sizeof *x);
    __builtin_memcpy(w, from_w, static_cast<std::size_t>(count) * sizeof *w);
  }
};

inline constexpr int line = 64;                            // bytes of a cache line
inline constexpr int ahead = 4096;                         // bytes: how far before its use a line is asked for
inline constexpr int tile = 4;                             // rows of x at once
inline constexpr int chains = simd::registers / 2 / tile;  // of sums in a dot: they hide each other's latency

/// m rows of x against one row of w, sum I of row I % m. Named by a parameter pack: see exact_kernel.h.
template <int m, class W, int... I>
[[gnu::always_inline]] inline void dot_row(std::integer_sequence<int, I...>, const typename Sums<W>::X* x, const W* w,
                                           std::int64_t k, typename Sums<W>::Sum* sums) {
  using D = Dot<W>;
  constexpr int stride = chains * D::step;
  typename D::Accumulator at[] = {(static_cast<void>(I), typename D::Accumulator{})...};
  std::int64_t l = 0;
  for (; l + stride <= k; l += stride) {
    for (std::size_t b = 0; b < stride * sizeof(W); b += line)
      __builtin_prefetch(reinterpret_cast<const char*>(w + l) + b + ahead);
    ((at[I] = D::more(at[I], x + (I % m) * k + l + I / m * D::step, w + l + I / m * D::step)), ...);
  }
  for (; l < k; l += D::step) {
    const std::int64_t count = k - l < D::step ? k - l : D::step;
    const auto rest = [&](int i) {
      const Rest<W> r(x + i * k + l, w + l, count);
      return D::more(at[i], r.x, r.w);
    };
    ((I < m ? static_cast<void>(at[I] = rest(I)) : void()), ...);
  }
  for (int width = chains / 2; width > 0; width /= 2)
    for (int i = 0; i < width * m; ++i) at[i] += at[i + width * m];
  ((I < m ? static_cast<void>(sums[I * most_sums] = D::total(at[I])) : void()), ...);
}

template <int m, class W>
[[gnu::always_inline]] inline void dot_row(const typename Sums<W>::X* x, const W* w, std::int64_t k,
                                           typename Sums<W>::Sum* sums) {
  dot_row<m>(std::make_integer_sequence<int, chains * m>{}, x, w, k, sums);
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

inline constexpr Table table = {
    {dots<float>, add_rows<float>}, {dots<Bf16>, add_rows<Bf16>}, {dots<std::int8_t>, add_rows<std::int8_t>}};

}  // namespace
}  // namespace crate::few
