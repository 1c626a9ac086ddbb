#include "tensor/round.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tensor/vector.h"

namespace crate {
namespace {

constexpr float most = 127.0F;

[[gnu::always_inline]] inline float magnitude(float x) { return x < 0 ? -x : x; }

// To the nearest whole number, ties to even, for |x| < 2^22.
[[gnu::always_inline]] inline int8_t nearest(float x) {
  constexpr float magic = 12582912.0F;  // 1.5 2^23: the sum's last bit counts ones
  return static_cast<int8_t>(std::bit_cast<int32_t>(x + magic) - std::bit_cast<int32_t>(magic));
}

CRATE_CLONES void round_row(const float* x, int8_t* to, float* scale, int64_t n) {
  const float top = n > 0 ? vec::largest(n, [x](int64_t j) { return magnitude(x[j]); }) : 0.0F;
  const float inverse = top > 0 ? most / top : 0.0F;
  *scale = top / most;
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) to[j] = nearest(x[j] * inverse);
}

CRATE_CLONES void raise(float* tops, const float* x, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) tops[j] = magnitude(x[j]) > tops[j] ? magnitude(x[j]) : tops[j];
}

CRATE_CLONES void round_by(const float* x, int8_t* to, const float* scales, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) to[j] = nearest(scales[j] > 0 ? x[j] / scales[j] : 0.0F);
}

[[gnu::always_inline]] inline uint16_t rounded(const float* x) {
  uint32_t bits;
  std::memcpy(&bits, x, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

[[gnu::always_inline]] inline void widen(uint16_t x, float* to) {
  const uint32_t bits = uint32_t{x} << 16;
  std::memcpy(to, &bits, sizeof(bits));
}

}  // namespace

CRATE_CLONES void round_bf16(const float* from, uint16_t* to, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) to[i] = rounded(from + i);
}

CRATE_CLONES void round_bf16(const float* from, float* to, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) widen(rounded(from + i), to + i);
}

CRATE_CLONES void widen_bf16(const uint16_t* from, float* to, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) widen(from[i], to + i);
}

CRATE_CLONES void round_bf16_rows(const float* from, uint16_t* to, int64_t stride, int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; ++i, from += n, to += stride)
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) to[j] = rounded(from + j);
}

CRATE_CLONES void widen_bf16_rows(const uint16_t* from, int64_t stride, float* to, int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; ++i, from += stride, to += n)
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) widen(from[j], to + j);
}

void round_int8(const float* from, int8_t* to, float* scales, int64_t n, int64_t lo, int64_t hi) {
  for (int64_t i = lo; i < hi; ++i) round_row(from + i * n, to + i * n, scales + i, n);
}

void round_int8_columns(const float* from, int8_t* to, float* scales, int64_t rows, int64_t n, int64_t lo, int64_t hi) {
  std::fill(scales + lo, scales + hi, 0.0F);
  for (int64_t i = 0; i < rows; ++i) raise(scales + lo, from + i * n + lo, hi - lo);
  for (int64_t j = lo; j < hi; ++j) scales[j] /= most;
  for (int64_t i = 0; i < rows; ++i) round_by(from + i * n + lo, to + i * n + lo, scales + lo, hi - lo);
}

}  // namespace crate
