// few_rows_table: the kernels of few_rows, one table an instruction set.
#pragma once
#include <cstdint>

#include "tensor/isa.h"
#include "tensor/tensor.h"

namespace crate::few {

inline constexpr int most_rows = 8;
inline constexpr int64_t most_sums = 64;  // of one row, in one call of dots

/// What the numbers of a weight are multiplied with, and what their products add up in.
template <class W> struct Sums {
  using X = float;
  using Sum = float;
};
template <> struct Sums<int8_t> {
  using X = int16_t;
  using Sum = int32_t;
};

template <class W> struct Kernels {
  /// sums[i * most_sums + j] = row i of x (m, k) times row j of w (count, k); m <= most_rows, count <= most_sums.
  void (*dots)(const typename Sums<W>::X* x, int64_t m, const W* w, int64_t count, int64_t k,
               typename Sums<W>::Sum* sums);
  /// y (n) += sum over t < count of factor[t] * row at[t] of w (.., n).
  void (*add_rows)(const int32_t* at, const float* factor, int64_t count, const W* w, int64_t n, float* y);
};

struct Table {
  /// The t < n with x[t] != 0, in order: first + t to `at`, x[t] to `factor`, both with room for n. Says how many.
  int64_t (*name)(const float* x, int64_t n, int32_t first, int32_t* at, float* factor);
  Kernels<float> f32;
  Kernels<Bf16> bf16;
  Kernels<int8_t> int8;
};

/// Of an instruction set that this machine runs; throws Error else.
const Table& table_of(Isa isa);

extern const Table table_baseline;
#if defined(__x86_64__)
extern const Table table_avx2;
extern const Table table_avx512;
#endif

}  // namespace crate::few
