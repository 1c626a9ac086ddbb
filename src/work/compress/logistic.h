// logistic: ln(p / (1 - p)) and back in integers, from tables.
#pragma once
#include <cstdint>

namespace crate::logistic {

inline constexpr int32_t widest = 2840;  // st(65535 / 65536) in Q8

/// Of a probability as a number of 2^-16, from 1 to 65535; in Q8.
int32_t stretch(int32_t p);
int32_t squash(int32_t x);
/// -log2(p) in bits.
double cost(int32_t p);

}  // namespace crate::logistic
