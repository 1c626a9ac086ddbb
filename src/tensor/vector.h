// vector: what the f32 loops of the CPU kernels share: the choice of the instruction set at run time, and functions
// that the compiler turns into vector code. Sums run over 16 lanes added in a fixed tree, so the bits are the same for
// every instruction set and length of a vector register.
#pragma once
#include <bit>
#include <cstdint>

// A function so marked is compiled several times; the loader takes the best one for the machine. What it calls in its
// loops must be inlined into it. Clang makes its chooser a name for all files, even in an unnamed namespace: no two
// such functions have both name and parameters in common. Not under clang's thread sanitizer: there the loader's choice
// runs before its runtime.
#if defined(__x86_64__) && !defined(CRATE_TSAN)
#define CRATE_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define CRATE_CLONES
#endif

namespace crate::vec {

constexpr int lanes = 16;

/// The sum of the lanes, pairwise.
[[gnu::always_inline]] inline float tree(float (&s)[lanes]) {
  for (int width = lanes / 2; width > 0; width /= 2) {
#pragma omp simd
    for (int l = 0; l < width; ++l) s[l] += s[l + width];
  }
  return s[0];
}

/// Sum of f(j) over 0 <= j < n.
template <class F> [[gnu::always_inline]] inline float sum(int64_t n, F f) {
  float s[lanes] = {};
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
#pragma omp simd
    for (int l = 0; l < lanes; ++l) s[l] += f(j + l);
  }
  for (int l = 0; j < n; ++j, ++l) s[l] += f(j);
  return tree(s);
}

/// Largest f(j) over 0 <= j < n; n > 0.
template <class F> [[gnu::always_inline]] inline float largest(int64_t n, F f) {
  float s[lanes];
  for (float& lane : s) lane = f(0);
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
#pragma omp simd
    for (int l = 0; l < lanes; ++l) s[l] = f(j + l) > s[l] ? f(j + l) : s[l];
  }
  for (int l = 0; j < n; ++j, ++l) s[l] = f(j) > s[l] ? f(j) : s[l];
  float out = s[0];
  for (const float lane : s) out = lane > out ? lane : out;
  return out;
}

/// to[j] = before(j) + f(j), 0 <= j < n.
template <class G, class F> [[gnu::always_inline]] inline void put_onto(float* to, int64_t n, G before, F f) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) to[j] = before(j) + f(j);
}

/// to[j] = or += f(j), 0 <= j < n. Two loops: of one that chooses inside, compilers make no vector code.
template <class F> [[gnu::always_inline]] inline void put(float* to, bool add, int64_t n, F f) {
  const auto as_it_was = [to](int64_t j) { return to[j]; };
  const auto nothing = [](int64_t) { return 0.0F; };
  if (add)
    put_onto(to, n, as_it_was, f);
  else
    put_onto(to, n, nothing, f);
}

/// e^x for x <= 88, 0 below -64: what follows never meets denormal numbers, which are up to 100 times slower. Relative
/// error below 2e-7 (x = n ln 2 + r, a polynomial in r).
[[gnu::always_inline]] inline float exp(float x) {
  const bool vanishes = x < -64.0F;
  x = vanishes ? -64.0F : x;
  const float shifted = x * 1.44269504F + 12582912.0F;  // 1.5 2^23: the integer part lands in the low mantissa bits
  const int32_t n = std::bit_cast<int32_t>(shifted) - 0x4B400000;
  const float k = shifted - 12582912.0F;
  const float r = (x - k * 0.693359375F) + k * 2.12194440e-4F;  // ln 2 in two parts
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = (p * r) * r + r + 1.0F;
  return vanishes ? 0.0F : p * std::bit_cast<float>((n + 127) << 23);
}

/// The standard normal density at x and its integral from -infinity.
struct Normal {
  float density, below;
};

/// With t = |x|: integral from t to infinity = exp(-t^2/2) P(1 / (1 + 0.3 t)), P of degree 8 fitted for the smallest
/// largest relative error, 6e-8 on [0, 14].
[[gnu::always_inline]] inline Normal normal(float x) {
  const float t = x < 0 ? -x : x;
  const float e = exp(-0.5F * t * t);
  const float y = 1.0F / (1.0F + 0.3F * t);
  float p = 3.837825568e-2F;
  p = p * y - 1.691659603e-1F;
  p = p * y + 2.286597971e-1F;
  p = p * y - 7.650618608e-2F;
  p = p * y + 1.425353462e-1F;
  p = p * y + 9.468358921e-2F;
  p = p * y + 1.219203276e-1F;
  p = p * y + 1.194876907e-1F;
  p = p * y + 7.168790548e-6F;
  const float above = e * p;
  return {e * 0.398942280F, x < 0 ? above : 1.0F - above};
}

}  // namespace crate::vec
