// integer_avx2_loops: the loops of integer_kernel.h by hand for AVX2, which has a 32 x 32 -> 64 bit product but neither
// an arithmetic shift nor a clamp of 64-bit numbers; the compiler takes the loops apart into single numbers. Where the
// arguments leave the range that a form needs, and for what is left of a row, the portable loop is called.
#pragma once
#include <immintrin.h>

#include "work/compress/integer_kernel.h"

namespace crate {
namespace {
namespace avx2 {

inline __m256i load8(const int32_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
inline __m256i load8(const int16_t* from) {
  return _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline void store8(int32_t* to, __m256i x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x); }

// 8 numbers of 64 bits: those of the even and of the odd lanes of a vector of 8 numbers of 32.
struct Wide {
  __m256i even, odd;
};

inline __m256i odd_of(__m256i x) { return _mm256_srli_epi64(x, 32); }
inline Wide times(__m256i a, __m256i b) { return {_mm256_mul_epi32(a, b), _mm256_mul_epi32(odd_of(a), odd_of(b))}; }
inline Wide plus(Wide a, Wide b) { return {_mm256_add_epi64(a.even, b.even), _mm256_add_epi64(a.odd, b.odd)}; }
inline Wide minus(Wide a, Wide b) { return {_mm256_sub_epi64(a.even, b.even), _mm256_sub_epi64(a.odd, b.odd)}; }
// The low halves.
inline __m256i narrow(Wide x) { return _mm256_blend_epi32(x.even, _mm256_slli_epi64(x.odd, 32), 0xAA); }
inline int64_t total_of(Wide x) {
  const __m256i four = _mm256_add_epi64(x.even, x.odd);
  const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
  return _mm_extract_epi64(two, 0) + _mm_extract_epi64(two, 1);
}
inline bool fits(int64_t x) { return x == static_cast<int32_t>(x); }

// x 2^-s, rounded, held within low .. high. Numbers are raised by 2^63, so that the shift of unsigned numbers serves.
class Rounding {
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

inline __m256i held32(__m256i x) {
  const __m256i top = _mm256_set1_epi32(static_cast<int32_t>(limit));
  return _mm256_max_epi32(_mm256_min_epi32(x, top), _mm256_sub_epi32(_mm256_setzero_si256(), top));
}

inline void multiply(int32_t factor, int down, int64_t n, int32_t* x) {
  const Rounding round(down);
  const __m256i by = _mm256_set1_epi32(factor);
  int64_t j = 0;
  for (; j + 8 <= n; j += 8) store8(x + j, round.held(times(load8(x + j), by)));
  crate::multiply(factor, down, n - j, x + j);
}

inline int64_t squares(const int32_t* x, int64_t n, int32_t mean, int down) {
  const __m256i middle = _mm256_set1_epi32(mean);
  const __m128i s = _mm_cvtsi32_si128(down);
  Wide sum{_mm256_setzero_si256(), _mm256_setzero_si256()};
  int64_t j = 0;
  for (; j + 8 <= n; j += 8) {
    const __m256i c = _mm256_sra_epi32(_mm256_sub_epi32(load8(x + j), middle), s);
    sum = plus(sum, times(c, c));
  }
  return total_of(sum) + crate::squares(x + j, n - j, mean, down);
}

inline void normed(const int32_t* x, int64_t n, int32_t mean, int down, int64_t reciprocal, const int32_t* scale,
                   const int32_t* shift, int32_t* y) {
  int64_t j = 0;
  const Rounding first(18), second(14);
  const __m256i middle = _mm256_set1_epi32(mean), by = _mm256_set1_epi32(static_cast<int32_t>(reciprocal));
  const __m128i s = _mm_cvtsi32_si128(down);
  for (; fits(reciprocal) && j + 8 <= n; j += 8) {
    __m256i a = first.held(times(_mm256_sra_epi32(_mm256_sub_epi32(load8(x + j), middle), s), by));
    if (scale != nullptr) a = second.held(times(a, load8(scale + j)));
    if (shift != nullptr) a = held32(_mm256_add_epi32(a, load8(shift + j)));
    store8(y + j, a);
  }
  crate::normed(x + j, n - j, mean, down, reciprocal, scale ? scale + j : nullptr, shift ? shift + j : nullptr, y + j);
}

// The reciprocal may be 2^31, whose negative fits 32 bits.
inline void to_bytes(const int32_t* x, int64_t n, int64_t reciprocal, int down, int low, int high, int offset,
                     uint8_t* to) {
  int64_t j = 0;
  const Rounding round(down);
  const __m256i by = _mm256_set1_epi32(static_cast<int32_t>(-reciprocal)), none = _mm256_setzero_si256();
  const __m256i least = _mm256_set1_epi32(low), most = _mm256_set1_epi32(high), up = _mm256_set1_epi32(offset);
  for (; fits(-reciprocal) && j + 8 <= n; j += 8) {
    const __m256i a = round.held(minus({none, none}, times(load8(x + j), by)));
    const __m256i b = _mm256_add_epi32(_mm256_min_epi32(_mm256_max_epi32(a, least), most), up);
    const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + j), _mm_packus_epi16(half, half));
  }
  crate::to_bytes(x + j, n - j, reciprocal, down, low, high, offset, to + j);
}

// x m for m of 15 bits and x of 48.
inline __m256i times_small(__m256i x, __m256i m) {
  return _mm256_add_epi64(_mm256_mul_epu32(x, m), _mm256_slli_epi64(_mm256_mul_epi32(odd_of(x), m), 32));
}

inline void rescale(const int32_t* sums, const int32_t* ones, int32_t zero, const int32_t* scales, int32_t mantissa,
                    int down, int64_t n, int32_t* y) {
  int64_t i = 0;
  const Rounding round(down);
  const __m256i m = _mm256_set1_epi32(mantissa), off = _mm256_set1_epi32(zero);
  for (; i + 8 <= n; i += 8) {
    const __m256i sum = _mm256_sub_epi32(load8(sums + i), _mm256_mullo_epi32(load8(ones + i), off));
    const Wide scaled = times(sum, load8(scales + i));
    store8(y + i, round.held({times_small(scaled.even, m), times_small(scaled.odd, m)}));
  }
  crate::rescale(sums + i, ones + i, zero, scales + i, mantissa, down, n - i, y + i);
}

// z - bar, which fits 32 bits, joins the sum before the shift.
inline void proximal(const int32_t* match, const int32_t* bar, int64_t eta, int64_t n, int32_t* z) {
  int64_t i = 0;
  const Rounding round(24, 0);
  const __m256i step = _mm256_set1_epi32(static_cast<int32_t>(eta)), unit = _mm256_set1_epi32(1 << 24);
  for (; fits(eta) && i + 8 <= n; i += 8) {
    const __m256i rest = _mm256_sub_epi32(load8(z + i), load8(bar + i));
    store8(z + i, round.held(plus(times(load8(match + i), step), times(rest, unit))));
  }
  crate::proximal(match + i, bar + i, eta, n - i, z + i);
}

inline void weigh(const int32_t* factors, int64_t n, int32_t* x) {
  const Rounding round(15);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) store8(x + i, round(times(load8(x + i), load8(factors + i))));
  crate::weigh(factors + i, n - i, x + i);
}

inline void turn(const int32_t* turns, int64_t stride, int64_t heads, int64_t half, int32_t* x) {
  if (half % 8 != 0) return crate::turn(turns, stride, heads, half, x);
  const Rounding round(14);
  for (int64_t h = 0; h < heads; ++h, x += 2 * half, turns += stride) {
    for (int64_t a = 0; a < half; a += 8) {
      const __m256i first = load8(x + a), second = load8(x + a + half);
      const __m256i cosine = load8(turns + a), sine = load8(turns + a + half);
      store8(x + a, round.held(minus(times(first, cosine), times(second, sine))));
      store8(x + a + half, round.held(plus(times(first, sine), times(second, cosine))));
    }
  }
}

inline void exclude(const int16_t* own, int64_t p, bool exclusive, int down, int32_t* out) {
  if (p % 8 != 0) return crate::exclude(own, p, exclusive, down, out);
  const __m256i none = _mm256_setzero_si256();
  Wide along{none, none}, norm{none, none};
  for (int64_t c = 0; exclusive && c < p; c += 8) {
    const __m256i mine = load8(own + c);
    along = plus(along, times(load8(out + c), mine));
    norm = plus(norm, times(mine, mine));
  }
  const int64_t size = total_of(norm), a = size > 0 ? total_of(along) / size : 0;
  if (!fits(a)) return crate::exclude(own, p, exclusive, down, out);
  const Rounding round(down);
  const __m256i by = _mm256_set1_epi32(static_cast<int32_t>(a)), one = _mm256_set1_epi32(1);
  for (int64_t c = 0; c < p; c += 8)
    store8(out + c, round.held(minus(times(load8(out + c), one), times(load8(own + c), by))));
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
    const __m256i u = _mm256_sub_epi32(_mm256_set1_epi32(top), load8(logits + b));
    const __m256i f = _mm256_slli_epi32(_mm256_and_si256(u, _mm256_set1_epi32(0xFFFF)), 14);
    const __m256i y = narrow({exp2_minus_30(f), exp2_minus_30(odd_of(f))});
    const __m256i s = _mm256_add_epi32(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(8));
    const __m256i w = _mm256_add_epi32(_mm256_srlv_epi32(y, s), _mm256_set1_epi32(1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(weights + b), w);
  }
}

}  // namespace avx2
}  // namespace
}  // namespace crate
