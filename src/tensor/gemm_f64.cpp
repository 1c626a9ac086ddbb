// Rows of op(a) are packed `rows` together, columns of op(b) `columns` together, so that a block of c stays in
// registers while l runs. Two cores of a busy AVX-512 machine: 15 GFLOP/s each, where the plain loop has 1.
#include "tensor/gemm_f64.h"

#include <algorithm>

#include "base/parallel.h"
#include "tensor/vector.h"

namespace crate {
namespace {

constexpr int64_t rows = 4, columns = 16;  // of a block

/// block (rows, columns) = sum over l of a[l, :]' b[l, :].
CRATE_CLONES void multiply_block(const double* a, const double* b, int64_t k, double* block) {
  double sum[rows][columns] = {};
  for (int64_t l = 0; l < k; ++l) {
    for (int64_t i = 0; i < rows; ++i) {
      const double x = a[l * rows + i];
#pragma omp simd
      for (int64_t j = 0; j < columns; ++j) sum[i][j] += x * b[l * columns + j];
    }
  }
  std::copy_n(&sum[0][0], rows * columns, block);
}

/// to[l, :] = the `wide` numbers of line l that begin at x; those past `count` are 0. `step` leads from l to l + 1,
/// `next` from one number of a line to the other.
void pack(const double* x, int64_t step, int64_t next, int64_t count, int64_t wide, int64_t k, double* to) {
  if (count < wide) std::fill_n(to, wide * k, 0.0);
  if (next == 1) {
    for (int64_t l = 0; l < k; ++l) std::copy_n(x + l * step, std::min(count, wide), to + l * wide);
    return;
  }
  for (int64_t i = 0; i < std::min(count, wide); ++i) {
    for (int64_t l = 0; l < k; ++l) to[l * wide + i] = x[l * step + i * next];
  }
}

}  // namespace

void products_f64(Device& device, const Gemm& g, const GemmShape& s, double* to) {
  const double *a = g.a.as<double>(), *b = g.b.as<double>();
  const int64_t bands = (s.m + rows - 1) / rows, strips = (s.n + columns - 1) / columns;
  const Scratch packed(device.pool(), static_cast<std::size_t>(bands * rows * s.k) * sizeof(double));
  for (int64_t band = 0; band < bands; ++band) {
    const int64_t i = band * rows;
    pack(a + (g.trans_a ? i : i * s.k), g.trans_a ? s.m : 1, g.trans_a ? 1 : s.k, s.m - i, rows, s.k,
         packed.as<double>() + i * s.k);
  }
  constexpr int64_t worth_threads = 1 << 20;  // multiply-adds: waking a thread costs about as much as 2^18 of them
  parallel_for(strips, s.m * s.n * s.k < worth_threads ? strips : 1, [&](int64_t lo, int64_t hi) {
    const Scratch strip(device.pool(), static_cast<std::size_t>(columns * s.k) * sizeof(double));
    double block[rows * columns];
    for (int64_t j = lo * columns; j < std::min(hi * columns, s.n); j += columns) {
      pack(b + (g.trans_b ? j * s.k : j), g.trans_b ? 1 : s.n, g.trans_b ? s.k : 1, s.n - j, columns, s.k,
           strip.as<double>());
      const int64_t wide = std::min(columns, s.n - j);
      for (int64_t i = 0; i < s.m; i += rows) {
        multiply_block(packed.as<double>() + i * s.k, strip.as<double>(), s.k, block);
        for (int64_t r = 0; r < std::min(rows, s.m - i); ++r)
          std::copy_n(block + r * columns, wide, to + (i + r) * s.n + j);
      }
    }
  });
}

}  // namespace crate
