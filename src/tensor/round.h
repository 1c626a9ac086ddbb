// round: f32 numbers made narrower for products on narrow inputs.
//   bf16: the nearest number of 8 bits, ties to even, as the processor's own instruction does.
//   int8: a row x becomes q = the nearest whole numbers to x / s, ties to even, s = max |x_j| / 127; x = s q to within
//         s / 2. A row of zeros has s = 0.
#pragma once
#include <cstdint>

namespace crate {

void round_bf16(const float* from, uint16_t* to, int64_t n);
/// The same numbers left as wide as they came, for machines whose products read f32 only.
void round_bf16(const float* from, float* to, int64_t n);

/// The way back, which is exact.
void widen_bf16(const uint16_t* from, float* to, int64_t n);

/// Both for short rows of n numbers that lie `stride` apart as bf16 and one after the other as f32.
void round_bf16_rows(const float* from, uint16_t* to, int64_t stride, int64_t rows, int64_t n);
void widen_bf16_rows(const uint16_t* from, int64_t stride, float* to, int64_t rows, int64_t n);

/// Rows of n numbers; rows lo .. hi - 1 of `from` to the same rows of `to` and `scales`.
void round_int8(const float* from, int8_t* to, float* scales, int64_t n, int64_t lo, int64_t hi);

/// The same for the columns lo .. hi - 1 of a (rows, n) matrix: scales (n), to (rows, n).
void round_int8_columns(const float* from, int8_t* to, float* scales, int64_t rows, int64_t n, int64_t lo, int64_t hi);

}  // namespace crate
