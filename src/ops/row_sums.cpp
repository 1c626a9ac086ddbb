#include "ops/row_sums.h"

#include <algorithm>

namespace crate {
namespace {

CRATE_CLONES void add(const float* from, int64_t n, float* to) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) to[j] += from[j];
}

CRATE_CLONES void add_four(const float* x, int64_t n, float* sums) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) sums[j] += (x[j] + x[n + j]) + (x[2 * n + j] + x[3 * n + j]);
}

CRATE_CLONES void add_both(const float* x, const float* y, int64_t n, float* sums) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) sums[j] += x[j] * y[j];
}

}  // namespace

RowSums::RowSums(Device& device, int64_t rows, int64_t chunk_rows, int64_t n)
    : chunks_((rows + chunk_rows - 1) / chunk_rows),
      n_(n),
      sums_(device.pool(), static_cast<std::size_t>(std::max<int64_t>(1, chunks_) * n) * sizeof(float)) {}

float* RowSums::open(int64_t chunk) const {
  float* sums = sums_.as<float>() + chunk * n_;
  std::fill_n(sums, n_, 0.0F);
  return sums;
}

void RowSums::close() const {
  float* sums = sums_.as<float>();
  if (chunks_ == 0) std::fill_n(sums, n_, 0.0F);
  for (int64_t chunk = 1; chunk < chunks_; ++chunk) add(sums + chunk * n_, n_, sums);
}

void RowSums::write(const GradTo& to, int64_t first) const {
  if (!to) return;
  const int64_t n = to.to.numel();
  require(first + n <= n_, "[row_sums] expected at most {} sums, came {}", n_ - first, n);
  float* out = to.to.as<float>();
  if (!to.add) std::fill_n(out, n, 0.0F);
  add(total() + first, n, out);
}

void add_rows(const float* x, int64_t rows, int64_t n, float* sums) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) add_four(x + i * n, n, sums);
  for (; i < rows; ++i) add(x + i * n, n, sums);
}

void add_products(const float* x, const float* y, int64_t n, float* sums) { add_both(x, y, n, sums); }

}  // namespace crate
