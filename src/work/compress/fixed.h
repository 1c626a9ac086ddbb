// fixed: the arithmetic of the codec outside its products. Everything that decides a coded bit is an integer operation,
// so two machines cannot disagree: integer additions are associative, and nothing here rounds in a way of its own.
//
// "Q16" is a number times 2^16. The tables are made from doubles, but only with + - * / and sqrt, each rounded once as
// IEEE 754 demands (the build contracts nothing), so they too are the same everywhere.
#pragma once
#include <cstdint>
#include <vector>

namespace crate::fixed {

/// x / 2^s, rounded to nearest with ties up; s <= 0 shifts left. The result must fit.
inline int64_t shift_round(int64_t x, int s) {
  if (s <= 0) return x * (int64_t{1} << -s);
  return s > 62 ? 0 : (x + (int64_t{1} << (s - 1))) >> s;
}

/// The largest r with r * r <= x.
uint32_t isqrt(uint64_t x);

/// Number of bits of x: 0 for 0, 1 for 1, 2 for 2 and 3.
inline int bit_length(uint64_t x) { return x == 0 ? 0 : 64 - __builtin_clzll(x); }

/// 2^-x in Q30 for x >= 0 in Q16, relative error below 1e-6; 0 from x = 31 on.
uint32_t exp2_minus(int64_t x);

/// Natural exponential and logarithm (x > 0), sine and cosine by series, to about 1e-14: for tables only.
double exp_of(double x);
double log_of(double x);
double sin_of(double x);
double cos_of(double x);

/// The normal distribution function in Q16 at x in Q16, from a table with linear interpolation (error below 1e-6).
int32_t normal_cdf(int64_t x);

inline constexpr int64_t limit = (int64_t{1} << 30) - 1;  // of every number; differences of two fit 32 bits
inline int32_t clamp(int64_t x) { return static_cast<int32_t>(x > limit ? limit : x < -limit ? -limit : x); }

}  // namespace crate::fixed
