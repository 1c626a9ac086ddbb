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
using Bf16Vec = std::uint16_t __attribute__((vector_size(lanes * sizeof(std::uint16_t))));
using ByteVec = std::int8_t __attribute__((vector_size(lanes)));
using ShortVec = std::int16_t __attribute__((vector_size(2 * lanes * sizeof(std::int16_t))));
using ShortBytes = std::int8_t __attribute__((vector_size(2 * lanes)));

// ---- numbers of a weight as floats ----

[[gnu::always_inline]] inline Vec widened(const float* from) { return simd::load(from); }
[[gnu::always_inline]] inline Vec widened(const Bf16* from) {
  Bf16Vec x;
  __builtin_memcpy(&x, from, sizeof x);
  return reinterpret_cast<Vec>(__builtin_convertvector(x, simd::BitVec) << 16);
}
[[gnu::always_inline]] inline Vec widened(const std::int8_t* from) {
  ByteVec x;
  __builtin_memcpy(&x, from, sizeof x);
  return __builtin_convertvector(__builtin_convertvector(x, IntVec), Vec);
}

/// The first `count` < lanes; zeros behind them.
template <class W> [[gnu::always_inline]] inline Vec widened_first(const W* from, std::int64_t count) {
  W copy[lanes] = {};
  __builtin_memcpy(copy, from, static_cast<std::size_t>(count) * sizeof(W));
  return widened(copy);
}

// ---- dots ----

/// Sums of 2 * lanes products of shorts and bytes, two neighbours a lane.
[[gnu::always_inline]] inline IntVec pair_products(ShortVec x, ShortBytes w) {
  const ShortVec wide = __builtin_convertvector(w, ShortVec);
#if defined(__AVX512BW__)
  return reinterpret_cast<IntVec>(_mm512_madd_epi16(reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(wide)));
#elif defined(__AVX2__)
  return reinterpret_cast<IntVec>(_mm256_madd_epi16(reinterpret_cast<__m256i>(x), reinterpret_cast<__m256i>(wide)));
#elif defined(__x86_64__)
  return reinterpret_cast<IntVec>(_mm_madd_epi16(reinterpret_cast<__m128i>(x), reinterpret_cast<__m128i>(wide)));
#else
  IntVec sums;
  for (int i = 0; i < lanes; ++i) sums[i] = x[2 * i] * wide[2 * i] + x[2 * i + 1] * wide[2 * i + 1];
  return sums;
#endif
}

/// A vector of sums, and how one step of it is taken.
template <class W> struct Dot {
  using Accumulator = Vec;
  static constexpr int step = lanes;
  [[gnu::always_inline]] static Vec more(Vec sum, const float* x, const W* w) { return sum + simd::load(x) * widened(w); }
  [[gnu::always_inline]] static float total(Vec sum) { return simd::sum(sum); }
};
template <> struct Dot<std::int8_t> {
  using Accumulator = IntVec;
  static constexpr int step = 2 * lanes;
  [[gnu::always_inline]] static IntVec more(IntVec sum, const std::int16_t* x, const std::int8_t* w) {
    ShortVec left;
    ShortBytes right;
    __builtin_memcpy(&left, x, sizeof left);
    __builtin_memcpy(&right, w, sizeof right);
    return sum + pair_products(left, right);
  }
  [[gnu::always_inline]] static std::int32_t total(IntVec sum) {
    std::int32_t out = 0;
    for (int i = 0; i < lanes; ++i) out += sum[i];
    return out;
  }
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

inline constexpr int line = 64;      // bytes of a cache line
inline constexpr int ahead = 4096;   // bytes: how far before its use a line is asked for

/// m rows of x against sizeof...(I) / m rows of w. The sums are named by a parameter pack: see exact_kernel.h.
template <int m, class W, int... I>
[[gnu::always_inline]] inline void dot_tile(std::integer_sequence<int, I...>, const typename Sums<W>::X* x, const W* w,
                                            std::int64_t k, typename Sums<W>::Sum* sums) {
  using D = Dot<W>;
  typename D::Accumulator at[] = {(static_cast<void>(I), typename D::Accumulator{})...};
  std::int64_t l = 0;
  for (; l + D::step <= k; l += D::step) {
    ((I % m == 0 ? __builtin_prefetch(reinterpret_cast<const char*>(w + (I / m) * k + l) + ahead) : void()), ...);
    ((at[I] = D::more(at[I], x + (I % m) * k + l, w + (I / m) * k + l)), ...);
  }
  if (l < k) {
    const auto rest = [&](int i) {
      const Rest<W> r(x + (i % m) * k + l, w + (i / m) * k + l, k - l);
      return D::more(at[i], r.x, r.w);
    };
    ((at[I] = rest(I)), ...);
  }
  ((sums[(I % m) * most_sums + I / m] = D::total(at[I])), ...);
}

template <int m, class W>
void dots_of(const typename Sums<W>::X* x, const W* w, std::int64_t count, std::int64_t k,
             typename Sums<W>::Sum* sums) {
  constexpr int group = simd::registers / 2 / m > 4 ? 4 : simd::registers / 2 / m > 1 ? simd::registers / 2 / m : 1;
  std::int64_t j = 0;
  for (; j + group <= count; j += group)
    dot_tile<m>(std::make_integer_sequence<int, group * m>{}, x, w + j * k, k, sums + j);
  for (; j < count; ++j) dot_tile<m>(std::make_integer_sequence<int, m>{}, x, w + j * k, k, sums + j);
}

template <class W, int... I>
void dots_by_rows(std::integer_sequence<int, I...>, const typename Sums<W>::X* x, std::int64_t m, const W* w,
                  std::int64_t count, std::int64_t k, typename Sums<W>::Sum* sums) {
  constexpr decltype(&dots_of<1, W>) all[] = {dots_of<I + 1, W>...};
  all[m - 1](x, w, count, k, sums);
}

template <class W>
void dots(const typename Sums<W>::X* x, std::int64_t m, const W* w, std::int64_t count, std::int64_t k,
          typename Sums<W>::Sum* sums) {
  dots_by_rows(std::make_integer_sequence<int, most_rows>{}, x, m, w, count, k, sums);
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

inline constexpr Table table = {{dots<float>, add_rows<float>},
                                {dots<Bf16>, add_rows<Bf16>},
                                {dots<std::int8_t>, add_rows<std::int8_t>}};

}  // namespace
}  // namespace crate::few
