// integer_lanes_loops: the loops of integer_kernel.h by hand, once for vectors of any width. Numbers of 64 bits stand
// in the even and in the odd lanes of vectors of 32 bits, whose products need no widening; the compiler takes such
// loops apart into single numbers. Where the arguments leave the range that a form needs, and for what is left of a
// row, the portable loop is called. What an instruction set must give:
//   V, count, Wide                 a vector of 32-bit numbers, how many they are; as many of 64 bits
//   load, store, store_bytes       of 32-bit numbers, of 16 bits to be widened; as bytes
//   all, all64                     one number in every lane
//   add, sub, product, min, max    of lanes of 32 bits; sra: x >> s
//   times, times_all               a Wide; of times_all b is the same number in all lanes
//   times_small                    of lanes of 64 bits: x of 48, m of 15
//   plus, minus, none, total       of Wides
//   all16, add16, sub16            of lanes of 16 bits; upper16, upper_unsigned16: the upper halves of products
//   Rounding                       x 2^-s, rounded: held within low .. high; or, called, what fits 32 bits in any case
#pragma once
#include "work/compress/integer_kernel.h"

namespace crate {
namespace {
namespace lanes {

// 2^-(f 2^-15) in Q15 as exp2_minus_15 gives it, in lanes of 16 bits without sign. The upper half of 2 y f is y f
// 2^-15; where 2 y does not fit 16 bits, it is taken as unsigned: 2^16 too much, and the product f.
template <class L> typename L::V exp2_minus_15(typename L::V f) {
  const auto second = L::add16(L::all16(7590), L::upper16(L::all16(-2580), f));
  const auto first = L::add16(L::all16(-22684), L::upper16(L::add16(second, second), f));
  const auto part = L::sub16(L::upper_unsigned16(L::add16(first, first), f), f);
  return L::add16(L::all16(-32768), part);
}

inline bool fits(int64_t x) { return x == static_cast<int32_t>(x); }

template <class L> typename L::V held32(typename L::V x) {
  const auto top = L::all(static_cast<int32_t>(limit));
  return L::max(L::min(x, top), L::sub(L::all(0), top));
}

template <class L> void multiply(int32_t factor, int down, int64_t n, int32_t* x) {
  const typename L::Rounding round(down);
  const auto by = L::all(factor);
  int64_t j = 0;
  for (; j + L::count <= n; j += L::count) L::store(x + j, round.held(L::times_all(L::load(x + j), by)));
  crate::multiply(factor, down, n - j, x + j);
}

template <class L> int64_t squares(const int32_t* x, int64_t n, int32_t mean, int down) {
  const auto middle = L::all(mean);
  const __m128i s = _mm_cvtsi32_si128(down);
  auto sum = L::none();
  int64_t j = 0;
  for (; j + L::count <= n; j += L::count) {
    const auto c = L::sra(L::sub(L::load(x + j), middle), s);
    sum = L::plus(sum, L::times(c, c));
  }
  return L::total(sum) + crate::squares(x + j, n - j, mean, down);
}

template <class L>
void normed(const int32_t* x, int64_t n, int32_t mean, int down, int64_t reciprocal, const int32_t* scale,
            const int32_t* shift, int32_t* y) {
  int64_t j = 0;
  const typename L::Rounding first(18), second(14);
  const auto middle = L::all(mean), by = L::all(static_cast<int32_t>(reciprocal));
  const __m128i s = _mm_cvtsi32_si128(down);
  for (; fits(reciprocal) && j + L::count <= n; j += L::count) {
    auto a = first.held(L::times_all(L::sra(L::sub(L::load(x + j), middle), s), by));
    if (scale != nullptr) a = second.held(L::times(a, L::load(scale + j)));
    if (shift != nullptr) a = held32<L>(L::add(a, L::load(shift + j)));
    L::store(y + j, a);
  }
  crate::normed(x + j, n - j, mean, down, reciprocal, scale ? scale + j : nullptr, shift ? shift + j : nullptr, y + j);
}

// The reciprocal may be 2^31, whose negative fits 32 bits.
template <class L>
void to_bytes(const int32_t* x, int64_t n, int64_t reciprocal, int down, int low, int high, int offset, uint8_t* to) {
  int64_t j = 0;
  const typename L::Rounding round(down, low, high);
  const auto by = L::all(static_cast<int32_t>(-reciprocal)), up = L::all(offset);
  for (; fits(-reciprocal) && j + L::count <= n; j += L::count)
    L::store_bytes(to + j, L::add(round.held(L::minus(L::none(), L::times_all(L::load(x + j), by))), up));
  crate::to_bytes(x + j, n - j, reciprocal, down, low, high, offset, to + j);
}

template <class L>
void rescale(const int32_t* sums, const int32_t* ones, int32_t zero, const int32_t* scales, int32_t mantissa, int down,
             int64_t n, int32_t* y) {
  int64_t i = 0;
  const typename L::Rounding round(down);
  const auto m = L::all64(mantissa), off = L::all(zero);
  for (; i + L::count <= n; i += L::count) {
    auto sum = L::load(sums + i);
    if (zero != 0) sum = L::sub(sum, L::product(L::load(ones + i), off));
    const auto scaled = L::times(sum, L::load(scales + i));
    L::store(y + i, round.held({L::times_small(scaled.even, m), L::times_small(scaled.odd, m)}));
  }
  crate::rescale(sums + i, ones + i, zero, scales + i, mantissa, down, n - i, y + i);
}

// z - bar, which fits 32 bits, joins the sum before the shift.
template <class L> void proximal(const int32_t* match, const int32_t* bar, int64_t eta, int64_t n, int32_t* z) {
  int64_t i = 0;
  const typename L::Rounding round(24, 0);
  const auto step = L::all(static_cast<int32_t>(eta)), unit = L::all(1 << 24);
  for (; fits(eta) && i + L::count <= n; i += L::count) {
    const auto rest = L::sub(L::load(z + i), L::load(bar + i));
    L::store(z + i, round.held(L::plus(L::times_all(L::load(match + i), step), L::times_all(rest, unit))));
  }
  crate::proximal(match + i, bar + i, eta, n - i, z + i);
}

// z joins the sum before the shift, as in proximal.
template <class L>
void add(const int32_t* y, const int32_t* bias, const int32_t* gamma, bool residual, int64_t n, int32_t* z) {
  int64_t c = 0;
  const typename L::Rounding round(24);
  const auto unit = L::all(1 << 24), none = L::all(0);
  for (; gamma != nullptr && c + L::count <= n; c += L::count) {
    const auto kept = residual ? L::load(z + c) : none;
    const auto x = bias != nullptr ? L::add(L::load(y + c), L::load(bias + c)) : L::load(y + c);
    L::store(z + c, round.held(L::plus(L::times(x, L::load(gamma + c)), L::times_all(kept, unit))));
  }
  crate::add(y + c, bias ? bias + c : nullptr, gamma ? gamma + c : nullptr, residual, n - c, z + c);
}

template <class L> void weigh(const int32_t* factors, int64_t n, int32_t* x) {
  const typename L::Rounding round(15);
  int64_t i = 0;
  for (; i + L::count <= n; i += L::count) L::store(x + i, round(L::times(L::load(x + i), L::load(factors + i))));
  crate::weigh(factors + i, n - i, x + i);
}

template <class L> void turn(const int32_t* turns, int64_t stride, int64_t heads, int64_t half, int32_t* x) {
  if (half % L::count != 0) return crate::turn(turns, stride, heads, half, x);
  const typename L::Rounding round(14);
  for (int64_t h = 0; h < heads; ++h, x += 2 * half, turns += stride) {
    for (int64_t a = 0; a < half; a += L::count) {
      const auto first = L::load(x + a), second = L::load(x + a + half);
      const auto cosine = L::load(turns + a), sine = L::load(turns + a + half);
      L::store(x + a, round.held(L::minus(L::times(first, cosine), L::times(second, sine))));
      L::store(x + a + half, round.held(L::plus(L::times(first, sine), L::times(second, cosine))));
    }
  }
}

template <class L> void exclude(const int16_t* own, int64_t p, bool exclusive, int down, int32_t* out) {
  if (p % L::count != 0) return crate::exclude(own, p, exclusive, down, out);
  auto along = L::none(), norm = L::none();
  for (int64_t c = 0; exclusive && c < p; c += L::count) {
    const auto mine = L::load(own + c);
    along = L::plus(along, L::times(L::load(out + c), mine));
    norm = L::plus(norm, L::times(mine, mine));
  }
  const int64_t size = L::total(norm), a = size > 0 ? L::total(along) / size : 0;
  if (!fits(a)) return crate::exclude(own, p, exclusive, down, out);
  const typename L::Rounding round(down);
  const auto by = L::all(static_cast<int32_t>(a)), one = L::all(1);
  for (int64_t c = 0; c < p; c += L::count)
    L::store(out + c, round.held(L::minus(L::times_all(L::load(out + c), one), L::times_all(L::load(own + c), by))));
}

}  // namespace lanes
}  // namespace
}  // namespace crate
