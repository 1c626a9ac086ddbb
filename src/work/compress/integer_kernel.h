// integer_kernel: the loops of integer_kernels.h that the compiler turns into vector code by itself, compiled once an
// instruction set. Internal linkage, and no inline function of elsewhere: see tensor/simd.h.
#pragma once
#include "work/compress/integer_kernels.h"

namespace crate {
namespace {

inline constexpr int64_t limit = (int64_t{1} << 30) - 1;  // of fixed.h
inline int32_t held(int64_t x) { return static_cast<int32_t>(x > limit ? limit : x < -limit ? -limit : x); }

// x / 2^s to nearest, ties up; 1 <= s <= 62.
inline int64_t rounded(int64_t x, int s) { return (x + (int64_t{1} << (s - 1))) >> s; }

inline void dots(const int16_t* q, const int16_t* keys, int64_t blocks, int64_t pairs, int32_t* to) {
  for (int64_t b = 0; b < blocks; ++b, to += 16) {
    int32_t sums[16] = {};
    for (int64_t c = 0; c < pairs; ++c, keys += 32) {
      const int32_t first = q[2 * c], second = q[2 * c + 1];
      for (int j = 0; j < 16; ++j) sums[j] += first * keys[2 * j] + second * keys[2 * j + 1];
    }
    for (int j = 0; j < 16; ++j) to[j] = sums[j];
  }
}

// 2^-u in Q15 for u in Q16: u = i + f, 2^-f by a cubic (error below 2e-4), then a shift by i.
inline int32_t exp2_minus_15(int32_t u) {
  const int32_t f = (u >> 1) & 0x7FFF;
  int32_t y = -1290;
  y = 7590 + (y * f >> 15);
  y = -22684 + (y * f >> 15);
  y = 32768 + (y * f >> 15);
  const int32_t whole = u >> 16;
  return y >> (whole < 31 ? whole : 31);
}

inline void multiply(int32_t factor, int down, int64_t n, int32_t* x) {
  for (int64_t j = 0; j < n; ++j) x[j] = held(rounded(int64_t{x[j]} * factor, down));
}

// The exponentials, 2^15 for the largest, all shifted so that their sum has 16 bits: the sum of weights and 16-bit
// values then fits 32, and what the shift drops is below 2^-15 of the sum a weight. Only 32-bit operations.
inline int32_t softmax(int32_t* x, int64_t n, int fraction, int16_t* weights) {
  int32_t top = -static_cast<int32_t>(limit), total = 0;
  for (int64_t j = 0; j < n; ++j) top = x[j] > top ? x[j] : top;
  const int right = fraction > 16 ? fraction - 16 : 0, left = fraction < 16 ? 16 - fraction : 0;
  const int32_t most = left > 0 ? 31 << fraction : INT32_MAX;  // 2^-31 is 0
  for (int64_t j = 0; j < n; ++j) {
    const int32_t u = top - x[j];
    x[j] = exp2_minus_15(((u < most ? u : most) >> right) << left);
    total += x[j];
  }
  const int down = total >= 1 << 16 ? 16 - __builtin_clz(static_cast<uint32_t>(total)) : 0;
  int32_t sum = 0;
  for (int64_t j = 0; j < n; ++j) {
    const int32_t w = x[j] >> down;
    weights[j] = static_cast<int16_t>(w < 32767 ? w : 32767);
    sum += w < 32767 ? w : 32767;
  }
  return sum;
}

inline void mix(const int16_t* weights, const int16_t* values, int64_t pairs, int64_t p, int32_t* sums) {
  for (int64_t c = 0; c < p; ++c) sums[c] = 0;
  for (int64_t j = 0; j < pairs; ++j, values += 2 * p) {
    const int32_t first = weights[2 * j], second = weights[2 * j + 1];
    if (first == 0 && second == 0) continue;
    for (int64_t c = 0; c < p; ++c) sums[c] += first * values[2 * c] + second * values[2 * c + 1];
  }
}

inline int64_t sum(const int32_t* x, int64_t n) {
  int64_t total = 0;
  for (int64_t j = 0; j < n; ++j) total += x[j];
  return total;
}

inline int64_t widest(const int32_t* x, int64_t n, int32_t mean) {
  int32_t top = 0;
  for (int64_t j = 0; j < n; ++j) {
    const int32_t c = x[j] - mean, size = c < 0 ? -c : c;
    top = size > top ? size : top;
  }
  return top;
}

inline int64_t squares(const int32_t* x, int64_t n, int32_t mean, int down) {
  int64_t total = 0;
  for (int64_t j = 0; j < n; ++j) {
    const int64_t c = (x[j] - mean) >> down;
    total += c * c;
  }
  return total;
}

inline void normed(const int32_t* x, int64_t n, int32_t mean, int down, int64_t reciprocal, const int32_t* scale,
                   const int32_t* shift, int32_t* y) {
  for (int64_t j = 0; j < n; ++j) y[j] = held(rounded(((x[j] - mean) >> down) * reciprocal, 18));
  if (scale != nullptr)
    for (int64_t j = 0; j < n; ++j) y[j] = held(rounded(int64_t{y[j]} * scale[j], 14));
  if (shift != nullptr)
    for (int64_t j = 0; j < n; ++j) y[j] = held(int64_t{y[j]} + shift[j]);
}

inline void to_bytes(const int32_t* x, int64_t n, int64_t reciprocal, int down, int low, int high, int offset,
                     uint8_t* to) {
  for (int64_t j = 0; j < n; ++j) {
    const int64_t a = rounded(x[j] * reciprocal, down);
    to[j] = static_cast<uint8_t>((a < low ? low : a > high ? high : a) + offset);
  }
}

inline void rescale(const int32_t* sums, const int32_t* ones, int32_t zero, const int32_t* scales, int32_t mantissa,
                    int down, int64_t n, int32_t* y) {
  for (int64_t i = 0; i < n; ++i)
    y[i] = held(rounded(int64_t{sums[i] - zero * ones[i]} * (int64_t{scales[i]} * mantissa), down));
}

inline void proximal(const int32_t* match, const int32_t* bar, int64_t eta, int64_t n, int32_t* z) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t next = z[i] + rounded(eta * match[i], 24) - bar[i];
    z[i] = static_cast<int32_t>(next < 0 ? 0 : next > limit ? limit : next);
  }
}

inline void weigh(const int32_t* factors, int64_t n, int32_t* x) {
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<int32_t>(rounded(int64_t{x[i]} * factors[i], 15));
}

inline void turn(const int32_t* turns, int64_t stride, int64_t heads, int64_t half, int32_t* x) {
  for (int64_t h = 0; h < heads; ++h, x += 2 * half, turns += stride) {
    const int32_t *cosine = turns, *sine = turns + half;
    for (int64_t a = 0; a < half; ++a) {
      const int64_t first = x[a], second = x[a + half];
      x[a] = held(rounded(first * cosine[a] - second * sine[a], 14));
      x[a + half] = held(rounded(first * sine[a] + second * cosine[a], 14));
    }
  }
}

inline void to_shorts(const int32_t* x, int64_t n, int down, int16_t* to) {
  const int32_t half = down > 0 ? 1 << (down - 1) : 0;  // |x| < 2^30: no overflow
  for (int64_t c = 0; c < n; ++c) {
    const int32_t y = (x[c] + half) >> down;
    to[c] = static_cast<int16_t>(y > 32767 ? 32767 : y < -32767 ? -32767 : y);
  }
}

inline void exclude(const int16_t* own, int64_t p, bool exclusive, int down, int32_t* out) {
  int64_t along = 0, norm = 0;
  for (int64_t c = 0; exclusive && c < p; ++c) {
    along += int64_t{out[c]} * own[c];
    norm += int64_t{own[c]} * own[c];
  }
  const int64_t a = norm > 0 ? along / norm : 0;  // Q15
  for (int64_t c = 0; c < p; ++c) out[c] = held(rounded(out[c] - a * own[c], down));
}

inline void add(const int32_t* y, const int32_t* bias, const int32_t* gamma, bool residual, int64_t n, int32_t* z) {
  const int32_t keep = residual ? -1 : 0;
  if (gamma == nullptr) {
    for (int64_t c = 0; c < n; ++c) z[c] = held(int64_t{z[c] & keep} + y[c] + (bias != nullptr ? bias[c] : 0));
    return;
  }
  for (int64_t c = 0; c < n; ++c) {
    const int64_t x = int64_t{y[c]} + (bias != nullptr ? bias[c] : 0);
    z[c] = held(int64_t{z[c] & keep} + rounded(x * gamma[c], 24));
  }
}

// 2^-f by a polynomial of the fifth degree in Q30 (error below 1e-6), then a shift.
inline void chances(const int32_t* logits, uint32_t* weights) {
  int32_t top = logits[0];
  for (int b = 1; b < 256; ++b) top = logits[b] > top ? logits[b] : top;
  for (int b = 0; b < 256; ++b) {
    const int64_t u = int64_t{top} - logits[b], f = (u & 0xFFFF) << 14;
    int64_t y = -1017428;
    y = 9897443 + (y * f >> 30);
    y = -59392228 + (y * f >> 30);
    y = 257900008 + (y * f >> 30);
    y = -744258707 + (y * f >> 30);
    y = 1073741824 + (y * f >> 30);
    const int64_t whole = u >> 16;
    weights[b] = static_cast<uint32_t>(y >> (8 + (whole < 40 ? whole : 40))) + 1;
  }
}

}  // namespace
}  // namespace crate
