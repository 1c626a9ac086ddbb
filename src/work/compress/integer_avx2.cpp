// integer_avx2: the kernels of the codec for x86-64 with AVX2, whose instruction for bytes (vpmaddubsw) saturates at 16
// bits. Several rows meet weights that are widened to 16 bits once for all of them; for one row widening is the dearer
// part, so its bytes are cut into their upper seven bits, which cannot saturate, and the lowest. Alone in the
// first-level cache, of 128 to 1024 inputs, on one Zen 3 core beside other work, in 10^9 products a second (medians
// scatter by 10 %):
//   one row    26  bytes widened at every row, four sums of a block, joined by hadd at the end
//              37  the same with even and odd columns apart, two sums of a block, two blocks side by side
//              54  seven bits and one (this file); 48 with one block at a time
//              69  |a| of signed bytes and weights under a's sign (vpsignb), four blocks: wants the sums of the weights
//                  and does not serve rows of which only some groups are read; not taken
//   four rows  60  widened (this file), a block at a time; 57 as two rows and two blocks, 61 by signs
#if defined(__x86_64__)
#include <immintrin.h>

#include "work/compress/integer_avx2_loops.h"

namespace crate {
namespace {

inline __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
inline void store(int32_t* to, __m256i x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x); }
inline __m256i broadcast(const void* four_bytes) {
  int32_t four;
  __builtin_memcpy(&four, four_bytes, sizeof four);
  return _mm256_set1_epi32(four);
}

// `tile` rows against one block, columns 0 and 2 of a group apart from 1 and 3: either pair fills the 16-bit halves of
// a sum's lane.
template <int tile>
inline void product_tile(const int8_t* packed, int64_t groups, const uint8_t* acts, int64_t act_stride, int32_t* sums,
                         int64_t sum_stride) {
  __m256i at[tile][2];
  for (int r = 0; r < tile; ++r) at[r][0] = at[r][1] = _mm256_setzero_si256();
  for (int64_t g = 0; g < groups; ++g) {
    const __m256i low = load(packed + g * 64), high = load(packed + g * 64 + 32);
    const __m256i even[2] = {_mm256_srai_epi16(_mm256_slli_epi16(low, 8), 8),
                             _mm256_srai_epi16(_mm256_slli_epi16(high, 8), 8)};
    const __m256i odd[2] = {_mm256_srai_epi16(low, 8), _mm256_srai_epi16(high, 8)};
#pragma GCC unroll 4
    for (int r = 0; r < tile; ++r) {
      const __m256i a = broadcast(acts + r * act_stride + g * pack_columns);
      const __m256i a_even = _mm256_and_si256(a, _mm256_set1_epi16(255)), a_odd = _mm256_srli_epi16(a, 8);
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h)
        at[r][h] = _mm256_add_epi32(
            at[r][h], _mm256_add_epi32(_mm256_madd_epi16(even[h], a_even), _mm256_madd_epi16(odd[h], a_odd)));
    }
  }
  for (int r = 0; r < tile; ++r)
    for (int h = 0; h < 2; ++h) store(sums + r * sum_stride + 8 * h, at[r][h]);
}

// One row against `width` blocks, a = 2 (a >> 1) + (a & 1): pairs of 127 * 127 fit 16 bits, and so do 128 pairs of 127.
template <int width>
inline void product_row(const int8_t* packed, int64_t groups, const uint8_t* acts, const int32_t* listed, int64_t count,
                        int32_t* sums) {
  constexpr int64_t most = 128;
  __m256i at[width][2], ones[width][2];
  for (int b = 0; b < width; ++b) at[b][0] = at[b][1] = _mm256_setzero_si256();
  for (int64_t from = 0; from < count; from += most) {
    for (int b = 0; b < width; ++b) ones[b][0] = ones[b][1] = _mm256_setzero_si256();
    for (int64_t t = from; t < count && t < from + most; ++t) {
      const int64_t g = listed ? listed[t] : t;
      const __m256i a = broadcast(acts + g * pack_columns);
      const __m256i bit = _mm256_and_si256(a, _mm256_set1_epi8(1));
      const __m256i rest = _mm256_and_si256(_mm256_srli_epi16(a, 1), _mm256_set1_epi8(127));
#pragma GCC unroll 2
      for (int b = 0; b < width; ++b) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          const __m256i w = load(packed + (b * groups + g) * 64 + 32 * h);
          at[b][h] = _mm256_add_epi32(at[b][h], _mm256_madd_epi16(_mm256_maddubs_epi16(rest, w), _mm256_set1_epi16(2)));
          ones[b][h] = _mm256_add_epi16(ones[b][h], _mm256_maddubs_epi16(bit, w));
        }
      }
    }
    for (int b = 0; b < width; ++b)
      for (int h = 0; h < 2; ++h)
        at[b][h] = _mm256_add_epi32(at[b][h], _mm256_madd_epi16(ones[b][h], _mm256_set1_epi16(1)));
  }
  for (int b = 0; b < width; ++b)
    for (int h = 0; h < 2; ++h) store(sums + b * pack_rows + 8 * h, at[b][h]);
}

void sparse_product(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, const int32_t* listed,
                    int64_t count, int32_t* sums) {
  int64_t b = 0;
  for (; b + 2 <= blocks; b += 2)
    product_row<2>(packed + b * groups * 64, groups, acts, listed, count, sums + b * pack_rows);
  if (b < blocks) product_row<1>(packed + b * groups * 64, groups, acts, listed, count, sums + b * pack_rows);
}

// A block meets all rows while its weights are in the first-level cache.
void product(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, int64_t act_stride,
             int64_t rows, int32_t* sums, int64_t sum_stride) {
  if (rows == 1) return sparse_product(packed, blocks, groups, acts, nullptr, groups, sums);
  for (int64_t b = 0; b < blocks; ++b, packed += groups * 64, sums += pack_rows) {
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4)
      product_tile<4>(packed, groups, acts + r * act_stride, act_stride, sums + r * sum_stride, sum_stride);
    for (; r + 2 <= rows; r += 2)
      product_tile<2>(packed, groups, acts + r * act_stride, act_stride, sums + r * sum_stride, sum_stride);
    if (r < rows) product_tile<1>(packed, groups, acts + r * act_stride, act_stride, sums + r * sum_stride, sum_stride);
  }
}

// `width` blocks of keys side by side share a spread pair of the query.
template <int width> inline void dots_of_blocks(const int16_t* q, const int16_t* keys, int64_t pairs, int32_t* to) {
  __m256i at[width][2];
  for (int b = 0; b < width; ++b) at[b][0] = at[b][1] = _mm256_setzero_si256();
  for (int64_t c = 0; c < pairs; ++c) {
    const __m256i pair = broadcast(q + 2 * c);
#pragma GCC unroll 4
    for (int b = 0; b < width; ++b)
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h)
        at[b][h] = _mm256_add_epi32(at[b][h], _mm256_madd_epi16(pair, load(keys + 32 * (b * pairs + c) + 16 * h)));
  }
  for (int b = 0; b < width; ++b)
    for (int h = 0; h < 2; ++h) store(to + 16 * b + 8 * h, at[b][h]);
}

void dots_of_keys(const int16_t* q, const int16_t* keys, int64_t blocks, int64_t pairs, int32_t* to) {
  int64_t b = 0;
  for (; b + 2 <= blocks; b += 2) dots_of_blocks<2>(q, keys + 32 * b * pairs, pairs, to + 16 * b);
  if (b < blocks) dots_of_blocks<1>(q, keys + 32 * b * pairs, pairs, to + 16 * b);
}

// `width` vectors of numbers side by side, so that a row of values is read once, from its begin to its end.
template <int width>
inline void mix_columns(const int16_t* weights, const int16_t* values, int64_t pairs, int64_t p, int32_t* sums) {
  __m256i at[width];
  for (int b = 0; b < width; ++b) at[b] = _mm256_setzero_si256();
  for (int64_t j = 0; j < pairs; ++j, values += 2 * p) {
    const __m256i pair = broadcast(weights + 2 * j);
#pragma GCC unroll 4
    for (int b = 0; b < width; ++b) at[b] = _mm256_add_epi32(at[b], _mm256_madd_epi16(pair, load(values + 16 * b)));
  }
  for (int b = 0; b < width; ++b) store(sums + 8 * b, at[b]);
}

void mix_values(const int16_t* weights, const int16_t* values, int64_t pairs, int64_t p, int32_t* sums) {
  if (p % 8 != 0) return mix(weights, values, pairs, p, sums);
  int64_t c = 0;
  for (; c + 32 <= p; c += 32) mix_columns<4>(weights, values + 2 * c, pairs, p, sums + c);
  for (; c < p; c += 8) mix_columns<1>(weights, values + 2 * c, pairs, p, sums + c);
}

}  // namespace

const IntegerKernels integer_avx2{"avx2",
                                  product,
                                  sparse_product,
                                  dots_of_keys,
                                  softmax,
                                  mix_values,
                                  sum,
                                  widest,
                                  lanes::squares<Avx2>,
                                  lanes::normed<Avx2>,
                                  lanes::to_bytes<Avx2>,
                                  lanes::rescale<Avx2>,
                                  lanes::proximal<Avx2>,
                                  lanes::weigh<Avx2>,
                                  lanes::turn<Avx2>,
                                  to_shorts,
                                  lanes::exclude<Avx2>,
                                  add,
                                  lanes::multiply<Avx2>,
                                  avx2::chances};

}  // namespace crate
#endif
