// integer_avx2: the kernels of the codec for x86-64 with AVX2, whose instruction for bytes (vpmaddubsw) multiplies
// bytes without a sign by bytes with one and saturates a pair's sum at 16 bits. Dense rows are therefore signed here
// (zero = 0), and codes come with pairs that cannot saturate. With 192 inputs on one Zen 3 core, the other busy, in
// 10^9 products a second (medians scatter by 10 %):
//   one row    24 KB of weights  2.2 MB of weights
//              50                40    a = 2 (a >> 1) + (a & 1), the halves apart, two blocks
//              44 to 48          41    nibbles apart, whose sums stay in 16 bits for eight groups
//              70                54    |a| and weights under a's sign (vpsignb), four blocks (this file)
//              67                37 to 50  the same, asking ahead for the next four blocks
//   four rows  58                57    weights and bytes widened to 16 bits
//              66                67    by signs (this file)
// Older, in other runs: widened at every row, four sums of a block joined by hadd 26; even and odd columns apart 37.
// Decoding a byte with one thread, the other core idle, 24,000 bytes, medians of 7 to 9, with what is in
// integer_avx2_loops.h: models/wiki-bytes 41 to 38 us, models/wiki-bytes-3m 133 to 108 us.
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

// `tile` rows of signed bytes against `width` blocks: |a| meets the weight under the sign of a, and two products of 127
// by 127 fit 16 bits.
template <int tile, int width>
inline void product_tile(const int8_t* packed, int64_t groups, const uint8_t* acts, int64_t act_stride, int32_t* sums,
                         int64_t sum_stride) {
  const __m256i one = _mm256_set1_epi16(1);
  __m256i at[tile][width][2];
  for (int r = 0; r < tile; ++r)
    for (int b = 0; b < width; ++b) at[r][b][0] = at[r][b][1] = _mm256_setzero_si256();
  for (int64_t g = 0; g < groups; ++g) {
    __m256i w[width][2];
#pragma GCC unroll 4
    for (int b = 0; b < width; ++b)
      for (int h = 0; h < 2; ++h) w[b][h] = load(packed + (b * groups + g) * 64 + 32 * h);
#pragma GCC unroll 4
    for (int r = 0; r < tile; ++r) {
      const __m256i a = broadcast(acts + r * act_stride + g * pack_columns), size = _mm256_abs_epi8(a);
#pragma GCC unroll 4
      for (int b = 0; b < width; ++b)
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          const __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(w[b][h], a));
          at[r][b][h] = _mm256_add_epi32(at[r][b][h], _mm256_madd_epi16(pairs, one));
        }
    }
  }
  for (int r = 0; r < tile; ++r)
    for (int b = 0; b < width; ++b)
      for (int h = 0; h < 2; ++h) store(sums + r * sum_stride + b * pack_rows + 8 * h, at[r][b][h]);
}

// One row against all blocks.
void product_row(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, int32_t* sums) {
  int64_t b = 0;
  for (; b + 4 <= blocks; b += 4)
    product_tile<1, 4>(packed + b * groups * 64, groups, acts, 0, sums + b * pack_rows, 0);
  for (; b < blocks; ++b) product_tile<1, 1>(packed + b * groups * 64, groups, acts, 0, sums + b * pack_rows, 0);
}

// A block meets all rows while its weights are in the first-level cache.
void product(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, int64_t act_stride,
             int64_t rows, int32_t* sums, int64_t sum_stride) {
  if (rows == 1) return product_row(packed, blocks, groups, acts, sums);
  for (int64_t b = 0; b < blocks; ++b, packed += groups * 64, sums += pack_rows) {
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4)
      product_tile<4, 1>(packed, groups, acts + r * act_stride, act_stride, sums + r * sum_stride, sum_stride);
    for (; r + 2 <= rows; r += 2)
      product_tile<2, 1>(packed, groups, acts + r * act_stride, act_stride, sums + r * sum_stride, sum_stride);
    if (r < rows)
      product_tile<1, 1>(packed, groups, acts + r * act_stride, act_stride, sums + r * sum_stride, sum_stride);
  }
}

// Four bytes of a code that stand at a group.
struct Listed {
  int32_t group, four;
};

// A pair of a code within 258 cannot saturate: 258 * 127 < 2^15. A larger one, which is rare in what is mostly zeros,
// comes as two groups with one number of it each. Returns how many there are.
inline int64_t pairs_apart(const uint8_t* code, const int32_t* listed, int64_t count, Listed* to) {
  constexpr uint32_t first = 0x00FF00FF, above = 0x00010001 * (0x7FFF - 258);
  int64_t n = 0;
  for (int64_t t = 0; t < count; ++t) {
    uint32_t four;
    __builtin_memcpy(&four, code + listed[t] * pack_columns, sizeof four);
    const uint32_t sums = (four & first) + ((four >> 8) & first);
    const bool large = ((sums + above) & 0x80008000) != 0;
    to[n] = {listed[t], static_cast<int32_t>(large ? four & first : four)};
    to[n + 1] = {listed[t], static_cast<int32_t>(four & ~first)};
    n += large ? 2 : 1;
  }
  return n;
}

template <int width>
inline void sparse_blocks(const int8_t* packed, int64_t groups, const Listed* listed, int64_t count, int32_t* sums) {
  const __m256i one = _mm256_set1_epi16(1);
  __m256i at[width][2];
  for (int b = 0; b < width; ++b) at[b][0] = at[b][1] = _mm256_setzero_si256();
  for (int64_t t = 0; t < count; ++t) {
    const __m256i a = _mm256_set1_epi32(listed[t].four);
#pragma GCC unroll 4
    for (int b = 0; b < width; ++b)
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        const __m256i w = load(packed + (b * groups + listed[t].group) * 64 + 32 * h);
        at[b][h] = _mm256_add_epi32(at[b][h], _mm256_madd_epi16(_mm256_maddubs_epi16(a, w), one));
      }
  }
  for (int b = 0; b < width; ++b)
    for (int h = 0; h < 2; ++h) store(sums + b * pack_rows + 8 * h, at[b][h]);
}

// At most 1024 groups, as 4096 inputs are.
void sparse_product(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* code, const int32_t* listed,
                    int64_t count, int32_t* sums) {
  Listed pairs[2 * 1024 + 1];
  const int64_t n = pairs_apart(code, listed, count, pairs);
  int64_t b = 0;
  for (; b + 4 <= blocks; b += 4) sparse_blocks<4>(packed + b * groups * 64, groups, pairs, n, sums + b * pack_rows);
  for (; b < blocks; ++b) sparse_blocks<1>(packed + b * groups * 64, groups, pairs, n, sums + b * pack_rows);
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
                                  0,
                                  product,
                                  sparse_product,
                                  dots_of_keys,
                                  avx2::softmax,
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
                                  lanes::add<Avx2>,
                                  lanes::multiply<Avx2>,
                                  avx2::chances};

}  // namespace crate
#endif
