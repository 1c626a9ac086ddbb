// integer_vnni: the kernels of the codec for x86-64 with AVX-512 VNNI: vpdpbusd multiplies 4 unsigned by 4 signed bytes
// and adds the products to a 32-bit lane without saturation, 64 products an instruction.
#if defined(__x86_64__)
#include <immintrin.h>

#include "work/compress/integer_kernel.h"

namespace crate {
namespace {

inline __m512i broadcast(const uint8_t* a) {
  int32_t four;
  __builtin_memcpy(&four, a, sizeof four);
  return _mm512_set1_epi32(four);
}

// One load of weights serves several rows; several chains hide the latency of the instruction.
template <int tile>
inline void product_tile(const int8_t* packed, int64_t groups, const uint8_t* acts, int64_t act_stride, int32_t* sums,
                         int64_t sum_stride) {
  __m512i at[tile];
  for (int r = 0; r < tile; ++r) at[r] = _mm512_setzero_si512();
  for (int64_t g = 0; g < groups; ++g) {
    const __m512i w = _mm512_loadu_si512(packed + g * 64);
#pragma GCC unroll 8
    for (int r = 0; r < tile; ++r) at[r] = _mm512_dpbusd_epi32(at[r], broadcast(acts + r * act_stride + g * 4), w);
  }
  for (int r = 0; r < tile; ++r) _mm512_storeu_si512(sums + r * sum_stride, at[r]);
}

// A single row: four blocks side by side.
template <int width>
inline void product_row(const int8_t* packed, int64_t groups, const uint8_t* acts, const int32_t* listed, int64_t count,
                        int32_t* sums) {
  __m512i at[width];
  for (int b = 0; b < width; ++b) at[b] = _mm512_setzero_si512();
  for (int64_t t = 0; t < count; ++t) {
    const int64_t g = listed ? listed[t] : t;
    const __m512i a = broadcast(acts + g * 4);
#pragma GCC unroll 4
    for (int b = 0; b < width; ++b)
      at[b] = _mm512_dpbusd_epi32(at[b], a, _mm512_loadu_si512(packed + (b * groups + g) * 64));
  }
  for (int b = 0; b < width; ++b) _mm512_storeu_si512(sums + b * pack_rows, at[b]);
}

void sparse_product(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, const int32_t* listed,
                    int64_t count, int32_t* sums) {
  int64_t b = 0;
  for (; b + 4 <= blocks; b += 4)
    product_row<4>(packed + b * groups * 64, groups, acts, listed, count, sums + b * pack_rows);
  for (; b < blocks; ++b) product_row<1>(packed + b * groups * 64, groups, acts, listed, count, sums + b * pack_rows);
}

void product(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, int64_t act_stride,
             int64_t rows, int32_t* sums, int64_t sum_stride) {
  if (rows == 1) return sparse_product(packed, blocks, groups, acts, nullptr, groups, sums);
  for (int64_t b = 0; b < blocks; ++b) {
    const int8_t* block = packed + b * groups * 64;
    int64_t r = 0;
    for (; r + 8 <= rows; r += 8)
      product_tile<8>(block, groups, acts + r * act_stride, act_stride, sums + r * sum_stride + b * pack_rows,
                      sum_stride);
    for (; r + 4 <= rows; r += 4)
      product_tile<4>(block, groups, acts + r * act_stride, act_stride, sums + r * sum_stride + b * pack_rows,
                      sum_stride);
    for (; r < rows; ++r)
      product_tile<1>(block, groups, acts + r * act_stride, act_stride, sums + r * sum_stride + b * pack_rows,
                      sum_stride);
  }
}

inline __m512i broadcast_pair(const int16_t* pair) {
  int32_t both;
  __builtin_memcpy(&both, pair, sizeof both);
  return _mm512_set1_epi32(both);
}

// Two chains of sums hide the latency of the instruction.
void dots_of_keys(const int16_t* q, const int16_t* keys, int64_t blocks, int64_t pairs, int32_t* to) {
  for (int64_t b = 0; b < blocks; ++b, keys += 32 * pairs, to += 16) {
    __m512i even = _mm512_setzero_si512(), odd = even;
    int64_t c = 0;
    for (; c + 2 <= pairs; c += 2) {
      even = _mm512_dpwssd_epi32(even, broadcast_pair(q + 2 * c), _mm512_loadu_si512(keys + 32 * c));
      odd = _mm512_dpwssd_epi32(odd, broadcast_pair(q + 2 * c + 2), _mm512_loadu_si512(keys + 32 * c + 32));
    }
    if (c < pairs) even = _mm512_dpwssd_epi32(even, broadcast_pair(q + 2 * c), _mm512_loadu_si512(keys + 32 * c));
    _mm512_storeu_si512(to, _mm512_add_epi32(even, odd));
  }
}

void mix_values(const int16_t* weights, const int16_t* values, int64_t pairs, int64_t p, int32_t* sums) {
  if (p % 16 != 0) return mix(weights, values, pairs, p, sums);
  for (int64_t c = 0; c < p; c += 16) {
    __m512i even = _mm512_setzero_si512(), odd = even;
    int64_t j = 0;
    for (; j + 2 <= pairs; j += 2) {
      const int16_t* at = values + 2 * (j * p + c);
      even = _mm512_dpwssd_epi32(even, broadcast_pair(weights + 2 * j), _mm512_loadu_si512(at));
      odd = _mm512_dpwssd_epi32(odd, broadcast_pair(weights + 2 * j + 2), _mm512_loadu_si512(at + 2 * p));
    }
    if (j < pairs)
      even = _mm512_dpwssd_epi32(even, broadcast_pair(weights + 2 * j), _mm512_loadu_si512(values + 2 * (j * p + c)));
    _mm512_storeu_si512(sums + c, _mm512_add_epi32(even, odd));
  }
}

}  // namespace

const IntegerKernels integer_vnni{"vnni", product,   sparse_product, dots_of_keys, softmax, mix_values, sum,
                                  widest, squares,   normed,         to_bytes,     rescale, proximal,   weigh,
                                  turn,   to_shorts, exclude,        add,          chances};

}  // namespace crate
#endif
