#include "ops/rows.h"

#include "tensor/vector.h"

namespace crate {

CRATE_CLONES void add_row(const float* a, const float* b, float* sum, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) sum[j] = a[j] + b[j];
}

CRATE_CLONES void grow(float* sum, const float* by, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) sum[j] += by[j];
}

CRATE_CLONES void grow(float* sum, float factor, const float* by, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) sum[j] += factor * by[j];
}

}  // namespace crate
