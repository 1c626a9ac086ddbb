// integer_kernel: the loops of integer_kernels.h that the compiler turns into vector code by itself, compiled once an
// instruction set. Internal linkage, and no inline function of the standard library: see ops/simd.h.
#pragma once
#include "work/compress/integer_kernels.h"

namespace crate {
namespace {

inline void dots(const int16_t* q, const int16_t* keys, int64_t stride, int64_t n, int64_t p, int32_t* to) {
  for (int64_t j = 0; j < n; ++j) {
    const int16_t* key = keys + j * stride;
    int32_t sum = 0;
    for (int64_t c = 0; c < p; ++c) sum += static_cast<int32_t>(q[c]) * key[c];
    to[j] = sum;
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

inline void softmax(int32_t* scores, int64_t n, int16_t* weights) {
  int32_t top = scores[0];
  for (int64_t j = 1; j < n; ++j) top = scores[j] > top ? scores[j] : top;
  int64_t total = 0;
  for (int64_t j = 0; j < n; ++j) {
    scores[j] = exp2_minus_15(top - scores[j]);
    total += scores[j];
  }
  // total >= 2^15, since the largest has 2^15: the reciprocal fits 31 bits.
  const int64_t reciprocal = (int64_t{1} << 45) / total;
  for (int64_t j = 0; j < n; ++j) {
    const int64_t w = (scores[j] * reciprocal + (int64_t{1} << 29)) >> 30;
    weights[j] = static_cast<int16_t>(w < 32767 ? w : 32767);
  }
}

inline void mix(const int16_t* weights, const int16_t* values, int64_t stride, int64_t n, int64_t p, int32_t* sums) {
  for (int64_t c = 0; c < p; ++c) sums[c] = 0;
  for (int64_t j = 0; j < n; ++j) {
    const int32_t w = weights[j];
    if (w == 0) continue;
    const int16_t* value = values + j * stride;
    for (int64_t c = 0; c < p; ++c) sums[c] += w * value[c];
  }
}

}  // namespace
}  // namespace crate
