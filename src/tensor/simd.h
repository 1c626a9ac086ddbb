// simd: a vector of floats as wide as the instruction set the including file is compiled for, and what is done with it.
// Included only by kernel headers that are compiled once per instruction set (see tensor/isa.h). Everything here has
// internal linkage: the same name is other code in each of those files, and the linker must not pick one for all. For
// the same reason kernel headers call no inline function of the standard library. x*y + z on vectors is one rounding
// where the set has an fma: those files are compiled with -ffp-contract=fast, unlike the rest, because half of the
// machine's arithmetic is reached only so.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

namespace crate::simd {
namespace {

#if defined(__AVX512F__)
inline constexpr int lanes = 16;
inline constexpr int registers = 32;
#elif defined(__AVX2__)
inline constexpr int lanes = 8;
inline constexpr int registers = 16;
#elif defined(__aarch64__)
inline constexpr int lanes = 4;
inline constexpr int registers = 32;
#else
inline constexpr int lanes = 4;
inline constexpr int registers = 16;
#endif

using Vec = float __attribute__((vector_size(lanes * sizeof(float))));
using IntVec = std::int32_t __attribute__((vector_size(lanes * sizeof(float))));
using BitVec = std::uint32_t __attribute__((vector_size(lanes * sizeof(float))));

/// From and to any address that a float may have.
[[gnu::always_inline]] inline Vec load(const float* from) {
  Vec x;
  __builtin_memcpy(&x, from, sizeof x);
  return x;
}
[[gnu::always_inline]] inline void store(float* to, Vec x) { __builtin_memcpy(to, &x, sizeof x); }

[[gnu::always_inline]] inline Vec splat(float x) { return x - Vec{}; }  // 0 + x would be an addition: -0
[[gnu::always_inline]] inline Vec max(Vec x, Vec y) { return x > y ? x : y; }

/// The first `count` (0 <= count <= lanes) floats; the rest are 0 and their memory is not read.
[[gnu::always_inline]] inline Vec load_first(const float* from, std::ptrdiff_t count) {
  Vec x{};
  __builtin_memcpy(&x, from, static_cast<std::size_t>(count) * sizeof(float));
  return x;
}
[[gnu::always_inline]] inline void store_first(float* to, Vec x, std::ptrdiff_t count) {
  __builtin_memcpy(to, &x, static_cast<std::size_t>(count) * sizeof(float));
}

/// x in the first `count` lanes, y in the others.
[[gnu::always_inline]] inline Vec blend_first(Vec x, Vec y, std::ptrdiff_t count) {
  IntVec lane;
  for (int i = 0; i < lanes; ++i) lane[i] = i;
  return lane < static_cast<std::int32_t>(count) ? x : y;
}

/// Lanes with (upper) or without (lower) bit `step` from x, the others from y at distance `step`.
template <int step, bool upper, int... I>
[[gnu::always_inline]] inline Vec exchange(std::integer_sequence<int, I...>, Vec x, Vec y) {
  return __builtin_shufflevector(x, y, ((((I & step) != 0) == upper) ? I : (lanes + (I ^ step)))...);
}

/// Lane i is x[i ^ step].
template <int step, int... I> [[gnu::always_inline]] inline Vec swap(std::integer_sequence<int, I...>, Vec x) {
  return __builtin_shufflevector(x, x, (I ^ step)...);
}
template <int step> [[gnu::always_inline]] inline Vec swap(Vec x) {
  return swap<step>(std::make_integer_sequence<int, lanes>{}, x);
}

/// One pass of transpose: 2 x 2 blocks of side `step` exchange their off-diagonal parts.
template <int step> [[gnu::always_inline]] inline void transpose_pass(Vec* x) {
  constexpr std::make_integer_sequence<int, lanes> all{};
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i) {
    if ((i & step) != 0) continue;
    const Vec upper = x[i];
    const Vec lower = x[i + step];
    x[i] = exchange<step, false>(all, upper, lower);
    x[i + step] = exchange<step, true>(all, lower, upper);
  }
}

/// The lanes x lanes matrix with rows x becomes its transpose.
[[gnu::always_inline]] inline void transpose(Vec* x) {
  transpose_pass<1>(x);
  transpose_pass<2>(x);
  if constexpr (lanes >= 8) transpose_pass<4>(x);
  if constexpr (lanes == 16) transpose_pass<8>(x);
}

/// Sum of the lanes, in the fixed order of a binary tree.
[[gnu::always_inline]] inline float sum(Vec x) {
  if constexpr (lanes == 16) x += swap<8>(x);
  if constexpr (lanes >= 8) x += swap<4>(x);
  x += swap<2>(x);
  x += swap<1>(x);
  return x[0];
}

/// Largest lane.
[[gnu::always_inline]] inline float largest(Vec x) {
  if constexpr (lanes == 16) x = max(x, swap<8>(x));
  if constexpr (lanes >= 8) x = max(x, swap<4>(x));
  x = max(x, swap<2>(x));
  x = max(x, swap<1>(x));
  return x[0];
}

/// 2^x for x <= 127, relative error below 1e-7; x < -126 gives 0. NaN stays NaN.
/// x = r + f, r an integer, |f| <= 1/2; 2^f is its interpolation in the seven Chebyshev nodes (error 2.6e-9), 2^r an
/// exponent.
[[gnu::always_inline]] inline Vec exp2(Vec x) {
  const Vec lowest = splat(-126.0F);
  const Vec magic = splat(12582912.0F);  // 1.5 * 2^23: adding it leaves the rounded x in the low bits
  const Vec shifted = x + magic;
  const Vec f = x - (shifted - magic);
  Vec y = splat(1.54614447e-4F);
  y = y * f + 1.340042818e-3F;
  y = y * f + 9.618056679e-3F;
  y = y * f + 5.550327227e-2F;
  y = y * f + 2.402265092e-1F;
  y = y * f + 6.931472067e-1F;
  y = y * f + 1.0F;
  const BitVec exponent = (reinterpret_cast<BitVec>(shifted) << 23) + 0x3F800000U;
  return x < lowest ? Vec{} : y * reinterpret_cast<Vec>(exponent);
}

/// log2 x for a normal x > 0, error below 2e-7 of the larger of 1 and the result.
/// x = 2^e m, m in [sqrt(1/2), sqrt(2)); with t = (m - 1) / (m + 1), |t| < 0.172: ln m = 2 (t + t^3/3 + t^5/5 + ..).
[[gnu::always_inline]] inline Vec log2(Vec x) {
  const BitVec bits = reinterpret_cast<BitVec>(x) - 0x3F3504F3U;  // of sqrt(1/2): below it the exponent is one less
  const IntVec exponent = reinterpret_cast<IntVec>(bits) >> 23;
  const Vec m = reinterpret_cast<Vec>((bits & 0x007FFFFFU) + 0x3F3504F3U);
  const Vec t = (m - 1.0F) / (m + 1.0F);
  const Vec square = t * t;
  Vec y = splat(3.205989e-1F);  // 2 / (9 ln 2), 2 / (7 ln 2), ..
  y = y * square + 4.121985830e-1F;
  y = y * square + 5.770780163e-1F;
  y = y * square + 9.617966939e-1F;
  y = y * square + 2.885390082F;
  return y * t + __builtin_convertvector(exponent, Vec);
}

}  // namespace
}  // namespace crate::simd
