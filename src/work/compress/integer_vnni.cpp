// integer_vnni: the kernels of the codec for x86-64 with AVX-512 VNNI: vpdpbusd multiplies 4 unsigned by 4 signed bytes
// and adds the products to a 32-bit lane without saturation, 64 products an instruction.
#if defined(__x86_64__)
#include <immintrin.h>

#include "work/compress/integer_vnni_loops.h"

namespace crate {
namespace {

inline __m512i broadcast(const uint8_t* a) {
  int32_t four;
  __builtin_memcpy(&four, a, sizeof four);
  return _mm512_set1_epi32(four);
}

// A load of weights serves `tile` rows, a spread byte of a row `width` blocks; as many chains hide the latency of the
// instruction.
template <int tile, int width>
inline void product_tile(const int8_t* packed, int64_t groups, const uint8_t* acts, int64_t act_stride, int32_t* sums,
                         int64_t sum_stride) {
  __m512i at[tile][width];
  for (int r = 0; r < tile; ++r)
    for (int b = 0; b < width; ++b) at[r][b] = _mm512_setzero_si512();
  for (int64_t g = 0; g < groups; ++g) {
    __m512i w[width];
#pragma GCC unroll 4
    for (int b = 0; b < width; ++b) w[b] = _mm512_loadu_si512(packed + (b * groups + g) * 64);
#pragma GCC unroll 8
    for (int r = 0; r < tile; ++r) {
      const __m512i a = broadcast(acts + r * act_stride + g * 4);
#pragma GCC unroll 4
      for (int b = 0; b < width; ++b) at[r][b] = _mm512_dpbusd_epi32(at[r][b], a, w[b]);
    }
  }
  for (int r = 0; r < tile; ++r)
    for (int b = 0; b < width; ++b) _mm512_storeu_si512(sums + r * sum_stride + b * pack_rows, at[r][b]);
}

// `tile` rows against all blocks.
template <int tile, int width>
inline void product_rows(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, int64_t act_stride,
                         int32_t* sums, int64_t sum_stride) {
  int64_t b = 0;
  for (; b + width <= blocks; b += width)
    product_tile<tile, width>(packed + b * groups * 64, groups, acts, act_stride, sums + b * pack_rows, sum_stride);
  for (; b < blocks; ++b)
    product_tile<tile, 1>(packed + b * groups * 64, groups, acts, act_stride, sums + b * pack_rows, sum_stride);
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
  int64_t r = 0;
  const auto rest = [&](int64_t tile) { return r + tile <= rows; };
  const auto at = [&] { return acts + r * act_stride; };
  for (; rest(8); r += 8)
    product_rows<8, 2>(packed, blocks, groups, at(), act_stride, sums + r * sum_stride, sum_stride);
  for (; rest(4); r += 4)
    product_rows<4, 4>(packed, blocks, groups, at(), act_stride, sums + r * sum_stride, sum_stride);
  for (; rest(2); r += 2)
    product_rows<2, 4>(packed, blocks, groups, at(), act_stride, sums + r * sum_stride, sum_stride);
  for (; r < rows; ++r) sparse_product(packed, blocks, groups, at(), nullptr, groups, sums + r * sum_stride);
}

inline __m512i broadcast_pair(const int16_t* pair) {
  int32_t both;
  __builtin_memcpy(&both, pair, sizeof both);
  return _mm512_set1_epi32(both);
}

// `width` blocks of keys side by side share a spread pair of the query, and their chains hide each other's latency.
template <int width> inline void dots_of_blocks(const int16_t* q, const int16_t* keys, int64_t pairs, int32_t* to) {
  __m512i at[width];
  for (int b = 0; b < width; ++b) at[b] = _mm512_setzero_si512();
  for (int64_t c = 0; c < pairs; ++c) {
    const __m512i pair = broadcast_pair(q + 2 * c);
#pragma GCC unroll 4
    for (int b = 0; b < width; ++b)
      at[b] = _mm512_dpwssd_epi32(at[b], pair, _mm512_loadu_si512(keys + 32 * (b * pairs + c)));
  }
  for (int b = 0; b < width; ++b) _mm512_storeu_si512(to + 16 * b, at[b]);
}

void dots_of_keys(const int16_t* q, const int16_t* keys, int64_t blocks, int64_t pairs, int32_t* to) {
  int64_t b = 0;
  for (; b + 4 <= blocks; b += 4) dots_of_blocks<4>(q, keys + 32 * b * pairs, pairs, to + 16 * b);
  for (; b < blocks; ++b) dots_of_blocks<1>(q, keys + 32 * b * pairs, pairs, to + 16 * b);
}

// `width` vectors of numbers side by side: a weight that is spread serves them all, and their chains hide each other.
template <int width>
inline void mix_columns(const int16_t* weights, const int16_t* values, int64_t pairs, int64_t p, int32_t* sums) {
  __m512i even[width], odd[width];
  for (int b = 0; b < width; ++b) even[b] = odd[b] = _mm512_setzero_si512();
  int64_t j = 0;
  for (; j + 2 <= pairs; j += 2) {
    const int16_t* at = values + 2 * j * p;
    const __m512i first = broadcast_pair(weights + 2 * j), second = broadcast_pair(weights + 2 * j + 2);
#pragma GCC unroll 4
    for (int b = 0; b < width; ++b) {
      even[b] = _mm512_dpwssd_epi32(even[b], first, _mm512_loadu_si512(at + 32 * b));
      odd[b] = _mm512_dpwssd_epi32(odd[b], second, _mm512_loadu_si512(at + 2 * p + 32 * b));
    }
  }
  for (int b = 0; b < width; ++b) {
    if (j < pairs)
      even[b] = _mm512_dpwssd_epi32(even[b], broadcast_pair(weights + 2 * j),
                                    _mm512_loadu_si512(values + 2 * j * p + 32 * b));
    _mm512_storeu_si512(sums + 16 * b, _mm512_add_epi32(even[b], odd[b]));
  }
}

void mix_values(const int16_t* weights, const int16_t* values, int64_t pairs, int64_t p, int32_t* sums) {
  if (p % 16 != 0) return mix(weights, values, pairs, p, sums);
  int64_t c = 0;
  for (; c + 32 <= p; c += 32) mix_columns<2>(weights, values + 2 * c, pairs, p, sums + c);
  for (; c < p; c += 16) mix_columns<1>(weights, values + 2 * c, pairs, p, sums + c);
}

}  // namespace

const IntegerKernels integer_vnni{"vnni",
                                  128,
                                  product,
                                  sparse_product,
                                  dots_of_keys,
                                  vnni::softmax,
                                  mix_values,
                                  sum,
                                  vnni::widest,
                                  lanes::squares<Avx512>,
                                  lanes::normed<Avx512>,
                                  lanes::to_bytes<Avx512>,
                                  lanes::rescale<Avx512>,
                                  lanes::proximal<Avx512>,
                                  lanes::weigh<Avx512>,
                                  lanes::turn<Avx512>,
                                  to_shorts,
                                  lanes::exclude<Avx512>,
                                  add,
                                  lanes::multiply<Avx512>,
                                  chances};

}  // namespace crate
#endif
