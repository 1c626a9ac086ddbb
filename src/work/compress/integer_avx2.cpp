// integer_avx2: the kernels of the codec for x86-64 with AVX2. The instruction for bytes (vpmaddubsw) saturates at 16
// bits, so the bytes are widened and multiplied as 16-bit pairs.
#if defined(__x86_64__)
#include <immintrin.h>

#include "work/compress/integer_kernel.h"

namespace crate {
namespace {

struct Sums {
  __m256i part[4];  // rows 4 q .. 4 q + 3, two sums a row
};

inline void add_group(const int8_t* w, const uint8_t* a, Sums& to) {
  int32_t four;
  __builtin_memcpy(&four, a, sizeof four);
  const __m256i act = _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
  for (int q = 0; q < 4; ++q) {
    const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w + 16 * q)));
    to.part[q] = _mm256_add_epi32(to.part[q], _mm256_madd_epi16(wide, act));
  }
}

inline void finish(const Sums& from, int32_t* sums) {
  for (int h = 0; h < 2; ++h) {
    const __m256i pairs = _mm256_hadd_epi32(from.part[2 * h], from.part[2 * h + 1]);  // rows 0 1 4 5 | 2 3 6 7
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 8 * h), _mm256_permute4x64_epi64(pairs, 0xD8));
  }
}

void sparse_product(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, const int32_t* listed,
                    int64_t count, int32_t* sums) {
  for (int64_t b = 0; b < blocks; ++b, packed += groups * 64, sums += pack_rows) {
    Sums at{};
    for (int64_t t = 0; t < count; ++t)
      add_group(packed + listed[t] * int64_t{64}, acts + listed[t] * pack_columns, at);
    finish(at, sums);
  }
}

void product(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, int64_t act_stride,
             int64_t rows, int32_t* sums, int64_t sum_stride) {
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t r = 0; r < rows; ++r) {
      Sums at{};
      for (int64_t g = 0; g < groups; ++g)
        add_group(packed + (b * groups + g) * 64, acts + r * act_stride + g * pack_columns, at);
      finish(at, sums + r * sum_stride + b * pack_rows);
    }
  }
}

inline __m256i broadcast_pair(const int16_t* pair) {
  int32_t both;
  __builtin_memcpy(&both, pair, sizeof both);
  return _mm256_set1_epi32(both);
}

inline __m256i load(const int16_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
inline void store(int32_t* to, __m256i x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x); }

void dots_of_keys(const int16_t* q, const int16_t* keys, int64_t blocks, int64_t pairs, int32_t* to) {
  for (int64_t b = 0; b < blocks; ++b, to += 16) {
    __m256i low = _mm256_setzero_si256(), high = low;
    for (int64_t c = 0; c < pairs; ++c, keys += 32) {
      const __m256i pair = broadcast_pair(q + 2 * c);
      low = _mm256_add_epi32(low, _mm256_madd_epi16(pair, load(keys)));
      high = _mm256_add_epi32(high, _mm256_madd_epi16(pair, load(keys + 16)));
    }
    store(to, low);
    store(to + 8, high);
  }
}

void mix_values(const int16_t* weights, const int16_t* values, int64_t pairs, int64_t p, int32_t* sums) {
  if (p % 8 != 0) return mix(weights, values, pairs, p, sums);
  for (int64_t c = 0; c < p; c += 8) {
    __m256i sum = _mm256_setzero_si256();
    for (int64_t j = 0; j < pairs; ++j)
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(broadcast_pair(weights + 2 * j), load(values + 2 * (j * p + c))));
    store(sums + c, sum);
  }
}

}  // namespace

const IntegerKernels integer_avx2{"avx2", product,   sparse_product, dots_of_keys, softmax, mix_values, sum,
                                  widest, squares,   normed,         to_bytes,     rescale, proximal,   weigh,
                                  turn,   to_shorts, exclude,        add,          chances};

}  // namespace crate
#endif
