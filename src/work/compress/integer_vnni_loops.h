// integer_vnni_loops: what integer_lanes_loops.h asks of AVX-512; softmax in lanes of 16 bits; the widest number.
//
// Decoding 200,000 bytes under models/wiki-bytes on a Zen 4 core, seconds: 4.85 before; 4.63 with vectors that begin at
// cache lines (aligned.h); 4.19 with these loops; 4.08 with softmax in lanes of 16 bits, four blocks of keys side by
// side and the norms of all heads in stages. No gain: prefetching values, huge pages, a step for all heads at a time.
#pragma once
#include <immintrin.h>

#include "work/compress/integer_lanes_loops.h"

namespace crate {
namespace {

struct Avx512 {
  using V = __m512i;
  // Twice as many numbers of 64 bits: those of the even and of the odd lanes.
  struct Wide {
    V even, odd;
  };
  class Rounding;
  static constexpr int64_t count = 16;

  static V load(const int32_t* from) { return _mm512_loadu_si512(from); }
  static V load(const int16_t* from) {
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static void store(int32_t* to, V x) { _mm512_storeu_si512(to, x); }
  static void store_bytes(uint8_t* to, V x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(x));
  }
  static V all(int32_t x) { return _mm512_set1_epi32(x); }
  static V all64(int64_t x) { return _mm512_set1_epi64(x); }
  static V add(V a, V b) { return _mm512_add_epi32(a, b); }
  static V sub(V a, V b) { return _mm512_sub_epi32(a, b); }
  static V product(V a, V b) { return _mm512_mullo_epi32(a, b); }
  static V min(V a, V b) { return _mm512_min_epi32(a, b); }
  static V max(V a, V b) { return _mm512_max_epi32(a, b); }
  static V sra(V x, __m128i s) { return _mm512_sra_epi32(x, s); }

  static V all16(int16_t x) { return _mm512_set1_epi16(x); }
  static V add16(V a, V b) { return _mm512_add_epi16(a, b); }
  static V sub16(V a, V b) { return _mm512_sub_epi16(a, b); }
  static V upper16(V a, V b) { return _mm512_mulhi_epi16(a, b); }
  static V upper_unsigned16(V a, V b) { return _mm512_mulhi_epu16(a, b); }

  static V odd_of(V x) { return _mm512_srli_epi64(x, 32); }
  static Wide times(V a, V b) { return {_mm512_mul_epi32(a, b), _mm512_mul_epi32(odd_of(a), odd_of(b))}; }
  static Wide times_all(V a, V b) { return {_mm512_mul_epi32(a, b), _mm512_mul_epi32(odd_of(a), b)}; }
  static V times_small(V x, V m) { return _mm512_mullo_epi64(x, m); }
  static Wide plus(Wide a, Wide b) { return {_mm512_add_epi64(a.even, b.even), _mm512_add_epi64(a.odd, b.odd)}; }
  static Wide minus(Wide a, Wide b) { return {_mm512_sub_epi64(a.even, b.even), _mm512_sub_epi64(a.odd, b.odd)}; }
  static Wide none() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
  // The low halves.
  static V narrow(Wide x) { return _mm512_mask_shuffle_epi32(x.even, 0xAAAA, x.odd, _MM_PERM_CCAA); }
  static int64_t total(Wide x) { return _mm512_reduce_add_epi64(_mm512_add_epi64(x.even, x.odd)); }
};

class Avx512::Rounding {
 public:
  explicit Rounding(int s, int64_t low = -limit, int64_t high = limit)
      : s_(_mm_cvtsi32_si128(s)),
        half_(_mm512_set1_epi64(int64_t{1} << (s - 1))),
        low_(_mm512_set1_epi64(low)),
        high_(_mm512_set1_epi64(high)) {}

  __m512i held(Wide x) const { return narrow({within(shifted(x.even)), within(shifted(x.odd))}); }
  // What fits 32 bits in any case.
  __m512i operator()(Wide x) const { return narrow({shifted(x.even), shifted(x.odd)}); }

 private:
  __m512i shifted(__m512i x) const { return _mm512_sra_epi64(_mm512_add_epi64(x, half_), s_); }
  __m512i within(__m512i x) const { return _mm512_max_epi64(_mm512_min_epi64(x, high_), low_); }

  __m128i s_;
  __m512i half_, low_, high_;
};

namespace vnni {

// The first n of 16 or 32 lanes.
inline __mmask16 lanes16(int64_t n) { return static_cast<__mmask16>(n >= 16 ? 0xFFFF : n <= 0 ? 0 : (1 << n) - 1); }
inline __mmask32 lanes32(int64_t n) { return n >= 32 ? ~0U : (1U << n) - 1; }

// The places of the lower halves of 32 numbers of 32 bits; the upper halves follow each.
struct Halves {
  alignas(64) int16_t lower[32] = {};
  constexpr Halves() {
    for (int i = 0; i < 32; ++i) lower[i] = static_cast<int16_t>(2 * i);
  }
};
inline constexpr Halves halves;

// The exponentials of softmax as 16-bit numbers without sign, zeros up to a multiple of 32; their sum comes back.
inline int32_t exponentials(const int32_t* x, int64_t n, int fraction, int16_t* weights) {
  __m512i top = _mm512_set1_epi32(-static_cast<int32_t>(limit));
  for (int64_t j = 0; j < n; j += 16) top = _mm512_max_epi32(top, _mm512_mask_loadu_epi32(top, lanes16(n - j), x + j));
  top = _mm512_set1_epi32(_mm512_reduce_max_epi32(top));
  const __m128i right = _mm_cvtsi32_si128(fraction > 16 ? fraction - 16 : 0);
  const __m128i left = _mm_cvtsi32_si128(fraction < 16 ? 16 - fraction : 0);
  const __m512i most = _mm512_set1_epi32(fraction < 16 ? 31 << fraction : INT32_MAX);
  const auto below_top = [&](int64_t j) {
    const __m512i u = _mm512_sub_epi32(top, _mm512_maskz_loadu_epi32(lanes16(n - j), x + j));
    return _mm512_sll_epi32(_mm512_srl_epi32(_mm512_min_epi32(u, most), right), left);
  };
  const __m512i lower = _mm512_load_si512(halves.lower), upper = _mm512_add_epi16(lower, _mm512_set1_epi16(1));
  __m512i sum = _mm512_setzero_si512();
  for (int64_t j = 0; j < n; j += 32) {
    const __m512i u = below_top(j), v = below_top(j + 16);
    const __m512i whole = _mm512_permutex2var_epi16(u, upper, v);
    const __m512i f = _mm512_srli_epi16(_mm512_permutex2var_epi16(u, lower, v), 1);
    const __m512i w = _mm512_maskz_mov_epi16(lanes32(n - j), _mm512_srlv_epi16(lanes::exp2_minus_15<Avx512>(f), whole));
    _mm512_storeu_si512(weights + j, w);
    const __m512i pairs = _mm512_add_epi32(_mm512_and_si512(w, _mm512_set1_epi32(0xFFFF)), _mm512_srli_epi32(w, 16));
    sum = _mm512_add_epi32(sum, pairs);
  }
  return _mm512_reduce_add_epi32(sum);
}

inline int32_t softmax(int32_t* x, int64_t n, int fraction, int16_t* weights) {
  const int32_t total = exponentials(x, n, fraction, weights);
  const __m128i down = _mm_cvtsi32_si128(total >= 1 << 16 ? 16 - __builtin_clz(static_cast<uint32_t>(total)) : 0);
  const __m512i top = _mm512_set1_epi16(32767), one = _mm512_set1_epi16(1);
  __m512i sum = _mm512_setzero_si512();
  for (int64_t j = 0; j < n; j += 32) {
    const __m512i w = _mm512_min_epu16(_mm512_srl_epi16(_mm512_loadu_si512(weights + j), down), top);
    _mm512_storeu_si512(weights + j, w);
    sum = _mm512_dpwssd_epi32(sum, w, one);
  }
  return _mm512_reduce_add_epi32(sum);
}

inline int64_t widest(const int32_t* x, int64_t n, int32_t mean) {
  const __m512i middle = _mm512_set1_epi32(mean);
  __m512i top = _mm512_setzero_si512();
  int64_t j = 0;
  for (; j + 16 <= n; j += 16)
    top = _mm512_max_epi32(top, _mm512_abs_epi32(_mm512_sub_epi32(Avx512::load(x + j), middle)));
  const int64_t most = _mm512_reduce_max_epi32(top), rest = crate::widest(x + j, n - j, mean);
  return most > rest ? most : rest;
}

}  // namespace vnni
}  // namespace
}  // namespace crate
