// rows: sums of rows of f32 numbers, as the kernels that move tokens need them.
#pragma once
#include <cstdint>

namespace crate {

/// sum = a + b, n numbers each.
void add_row(const float* a, const float* b, float* sum, int64_t n);
/// sum += by.
void grow(float* sum, const float* by, int64_t n);
/// sum += factor * by.
void grow(float* sum, float factor, const float* by, int64_t n);

}  // namespace crate
