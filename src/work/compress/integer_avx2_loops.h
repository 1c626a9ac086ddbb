// integer_avx2_loops: what integer_lanes_loops.h asks of AVX2, which has neither an arithmetic shift nor a clamp of
// 64-bit numbers; softmax in lanes of 16 bits; the chances of bytes.
#pragma once
#include <immintrin.h>

#include "work/compress/integer_lanes_loops.h"

namespace crate {
namespace {

struct Avx2 {
  using V = __m256i;
  // Twice as many numbers of 64 bits: those of the even and of the odd lanes.
  struct Wide {
    V even, odd;
  };
  class Rounding;
  static constexpr int64_t count = 8;

  static V load(const int32_t* from) { return _mm256_loadu_si256(reinterpret_cast<const V*>(from)); }
  static V load(const int16_t* from) {
    return _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static void store(int32_t* to, V x) { _mm256_storeu_si256(reinterpret_cast<V*>(to), x); }
  static void store_bytes(uint8_t* to, V x) {
    const V low = _mm256_and_si256(x, _mm256_set1_epi32(255));
    const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(half, half));
  }
  static V all(int32_t x) { return _mm256_set1_epi32(x); }
  static V all64(int64_t x) { return _mm256_set1_epi64x(x); }
  static V add(V a, V b) { return _mm256_add_epi32(a, b); }
  static V sub(V a, V b) { return _mm256_sub_epi32(a, b); }
  static V product(V a, V b) { return _mm256_mullo_epi32(a, b); }
  static V min(V a, V b) { return _mm256_min_epi32(a, b); }
  static V max(V a, V b) { return _mm256_max_epi32(a, b); }
  static V sra(V x, __m128i s) { return _mm256_sra_epi32(x, s); }

  static V all16(int16_t x) { return _mm256_set1_epi16(x); }
  static V add16(V a, V b) { return _mm256_add_epi16(a, b); }
  static V sub16(V a, V b) { return _mm256_sub_epi16(a, b); }
  static V upper16(V a, V b) { return _mm256_mulhi_epi16(a, b); }
  static V upper_unsigned16(V a, V b) { return _mm256_mulhi_epu16(a, b); }

  static V odd_of(V x) { return _mm256_srli_epi64(x, 32); }
  static Wide times(V a, V b) { return {_mm256_mul_epi32(a, b), _mm256_mul_epi32(odd_of(a), odd_of(b))}; }
  static Wide times_all(V a, V b) { return {_mm256_mul_epi32(a, b), _mm256_mul_epi32(odd_of(a), b)}; }
  static V times_small(V x, V m) {
    return _mm256_add_epi64(_mm256_mul_epu32(x, m), _mm256_slli_epi64(_mm256_mul_epi32(odd_of(x), m), 32));
  }
  static Wide plus(Wide a, Wide b) { return {_mm256_add_epi64(a.even, b.even), _mm256_add_epi64(a.odd, b.odd)}; }
  static Wide minus(Wide a, Wide b) { return {_mm256_sub_epi64(a.even, b.even), _mm256_sub_epi64(a.odd, b.odd)}; }
  static Wide none() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  // The low halves.
  static V narrow(Wide x) { return _mm256_blend_epi32(x.even, _mm256_slli_epi64(x.odd, 32), 0xAA); }
  static int64_t total(Wide x) {
    const V four = _mm256_add_epi64(x.even, x.odd);
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    return _mm_extract_epi64(two, 0) + _mm_extract_epi64(two, 1);
  }
};

// Numbers are raised by 2^63, so that the shift of unsigned numbers serves.
class Avx2::Rounding {
 public:
  explicit Rounding(int s, int64_t low = -limit, int64_t high = limit)
      : s_(_mm_cvtsi32_si128(s)),
        raise_(_mm256_set1_epi64x(static_cast<int64_t>((uint64_t{1} << 63) + (uint64_t{1} << (s - 1))))),
        low_(_mm256_set1_epi64x((int64_t{1} << (63 - s)) + low)),
        high_(_mm256_set1_epi64x((int64_t{1} << (63 - s)) + high)),
        zero_(_mm256_set1_epi32(static_cast<int32_t>(int64_t{1} << (63 - s)))) {}

  __m256i held(Wide x) const {
    return _mm256_sub_epi32(narrow({within(shifted(x.even)), within(shifted(x.odd))}), zero_);
  }
  // What fits 32 bits in any case.
  __m256i operator()(Wide x) const { return _mm256_sub_epi32(narrow({shifted(x.even), shifted(x.odd)}), zero_); }

 private:
  __m256i shifted(__m256i x) const { return _mm256_srl_epi64(_mm256_add_epi64(x, raise_), s_); }
  __m256i within(__m256i x) const {
    const __m256i y = _mm256_blendv_epi8(x, high_, _mm256_cmpgt_epi64(x, high_));
    return _mm256_blendv_epi8(y, low_, _mm256_cmpgt_epi64(low_, y));
  }

  __m128i s_;
  __m256i raise_, low_, high_, zero_;
};

namespace avx2 {

inline int32_t total(__m256i x) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtsi128_si32(two) + _mm_extract_epi32(two, 1);
}
inline int32_t largest(__m256i x) {
  const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  const __m128i two = _mm_max_epi32(four, _mm_unpackhi_epi64(four, four));
  const int32_t a = _mm_cvtsi128_si32(two), b = _mm_extract_epi32(two, 1);
  return a > b ? a : b;
}

// x[j ..), as far as there are n; `other` beyond.
inline __m256i load_or(__m256i other, const int32_t* x, int64_t j, int64_t n) {
  if (j + 8 <= n) return Avx2::load(x + j);
  const __m256i rest = _mm256_set1_epi32(static_cast<int32_t>(n - j));
  const __m256i mask = _mm256_cmpgt_epi32(rest, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  return _mm256_blendv_epi8(other, _mm256_maskload_epi32(x + j, mask), mask);
}

// The exponentials of softmax as 16-bit numbers without sign, zeros up to a multiple of 16; their sum comes back.
// Packing two vectors interleaves their halves, unpacking undoes it.
inline int32_t exponentials(const int32_t* x, int64_t n, int fraction, int16_t* weights) {
  __m256i tops = _mm256_set1_epi32(-static_cast<int32_t>(limit));
  for (int64_t j = 0; j < n; j += 8) tops = _mm256_max_epi32(tops, load_or(tops, x, j, n));
  const __m256i top = _mm256_set1_epi32(largest(tops)), zero = _mm256_setzero_si256();
  const __m128i right = _mm_cvtsi32_si128(fraction > 16 ? fraction - 16 : 0);
  const __m128i left = _mm_cvtsi32_si128(fraction < 16 ? 16 - fraction : 0);
  const __m256i most = _mm256_set1_epi32(fraction < 16 ? 31 << fraction : INT32_MAX);  // 2^-31 is 0
  const __m256i none = _mm256_sub_epi32(top, most);
  const auto below_top = [&](int64_t j) {
    const __m256i u = _mm256_sub_epi32(top, load_or(none, x, j, n));
    return _mm256_sll_epi32(_mm256_srl_epi32(_mm256_min_epi32(u, most), right), left);
  };
  const auto fractions = [](__m256i u) { return _mm256_srli_epi32(_mm256_slli_epi32(u, 16), 17); };
  __m256i sum = zero;
  for (int64_t j = 0; j < n; j += 16) {
    const __m256i u = below_top(j), v = below_top(j + 8);
    const __m256i y = lanes::exp2_minus_15<Avx2>(_mm256_packus_epi32(fractions(u), fractions(v)));
    const __m256i a = _mm256_srlv_epi32(_mm256_unpacklo_epi16(y, zero), _mm256_srli_epi32(u, 16));
    const __m256i b = _mm256_srlv_epi32(_mm256_unpackhi_epi16(y, zero), _mm256_srli_epi32(v, 16));
    sum = _mm256_add_epi32(sum, _mm256_add_epi32(a, b));
    const __m256i w = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xD8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(weights + j), w);
  }
  return total(sum);
}

inline int32_t softmax(int32_t* x, int64_t n, int fraction, int16_t* weights) {
  const int32_t total = exponentials(x, n, fraction, weights);
  const __m128i down = _mm_cvtsi32_si128(total >= 1 << 16 ? 16 - __builtin_clz(static_cast<uint32_t>(total)) : 0);
  const __m256i top = _mm256_set1_epi16(32767), one = _mm256_set1_epi16(1);
  __m256i sum = _mm256_setzero_si256();
  for (int64_t j = 0; j < n; j += 16) {
    auto* at = reinterpret_cast<__m256i*>(weights + j);
    const __m256i w = _mm256_min_epu16(_mm256_srl_epi16(_mm256_loadu_si256(at), down), top);
    _mm256_storeu_si256(at, w);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w, one));
  }
  return avx2::total(sum);
}

// A step of the polynomial of chances: c + (y f 2^-30), of which only the low 32 bits count.
inline __m256i horner(__m256i y, __m256i f, int32_t c) {
  return _mm256_add_epi64(_mm256_srli_epi64(_mm256_mul_epi32(y, f), 30), _mm256_set1_epi64x(c));
}
inline __m256i exp2_minus_30(__m256i f) {
  __m256i y = _mm256_set1_epi64x(-1017428);
  y = horner(y, f, 9897443);
  y = horner(y, f, -59392228);
  y = horner(y, f, 257900008);
  y = horner(y, f, -744258707);
  return horner(y, f, 1073741824);
}

// Differences of logits fit 32 bits; a shift by 32 and more gives 0, as the portable one by 40.
inline void chances(const int32_t* logits, uint32_t* weights) {
  int32_t top = logits[0];
  for (int b = 1; b < 256; ++b) top = logits[b] > top ? logits[b] : top;
  for (int b = 0; b < 256; b += 8) {
    const __m256i u = _mm256_sub_epi32(_mm256_set1_epi32(top), Avx2::load(logits + b));
    const __m256i f = _mm256_slli_epi32(_mm256_and_si256(u, _mm256_set1_epi32(0xFFFF)), 14);
    const __m256i y = Avx2::narrow({exp2_minus_30(f), exp2_minus_30(Avx2::odd_of(f))});
    const __m256i s = _mm256_add_epi32(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(8));
    const __m256i w = _mm256_add_epi32(_mm256_srlv_epi32(y, s), _mm256_set1_epi32(1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(weights + b), w);
  }
}

}  // namespace avx2
}  // namespace
}  // namespace crate
