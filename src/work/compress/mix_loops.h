// mix_loops: the two loops over all inputs of a mixture, compiled once an instruction set. Internal linkage, and no
// inline function of elsewhere: see tensor/simd.h.
#pragma once
#include "work/compress/mix_net.h"

namespace crate::mix {
namespace {

// Sums wrap, on every machine alike; what is not absurd stays far within.
inline int32_t dot(const int16_t* w, const int16_t* x, int n) {
  uint32_t sum = 0;
  for (int i = 0; i < n; ++i) sum += static_cast<uint32_t>(int32_t{w[i]} * int32_t{x[i]});
  return static_cast<int32_t>(sum);
}

// w, in Q20 and below 8, moves along x by the error; `used` is the same in Q12.
inline void move(const int16_t* x, int32_t error, int n, int32_t* w, int16_t* used) {
  constexpr int32_t most = (1 << 23) - 1;
  for (int i = 0; i < n; ++i) {
    int32_t v = w[i] + ((int32_t{x[i]} * error + (1 << 8)) >> 9);
    v = v > most ? most : v;
    v = v < -most ? -most : v;
    w[i] = v;
    used[i] = static_cast<int16_t>(v >> 8);
  }
}

}  // namespace
}  // namespace crate::mix
