// epilogue: one loop compiled once for each choice of parts, since the compilers leave a loop that asks in every turn
// without vectors.
#include "tensor/epilogue.h"

#include "tensor/vector.h"

namespace crate {
namespace {

enum Part : uint8_t { part_columns = 1, part_bias = 2, part_plus = 4, part_relu = 8, part_all = 15 };

template <int parts>
[[gnu::always_inline]] inline void finish(const Epilogue& e, const float* from, float* to, int64_t n) {
  const float *columns = e.columns, *bias = e.bias, *plus = e.plus;
  const float alpha = e.alpha;
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) {
    float value = alpha * from[j];
    if constexpr ((parts & part_columns) != 0) value *= columns[j];
    if constexpr ((parts & part_bias) != 0) value += bias[j];
    if constexpr ((parts & part_plus) != 0) value += plus[j];
    if constexpr ((parts & part_relu) != 0) value = value <= 0 ? 0.0F : value;
    to[j] = value;
  }
}

template <int parts>
[[gnu::always_inline]] inline void finish(int wanted, const Epilogue& e, const float* from, float* to, int64_t n) {
  if (wanted == parts) return finish<parts>(e, from, to, n);
  if constexpr (parts > 0) finish<parts - 1>(wanted, e, from, to, n);
}

}  // namespace

CRATE_CLONES void finish_row(const Epilogue& e, const float* from, float* to, int64_t n) {
  const int wanted =
      (e.columns ? part_columns : 0) | (e.bias ? part_bias : 0) | (e.plus ? part_plus : 0) | (e.relu ? part_relu : 0);
  finish<part_all>(wanted, e, from, to, n);
}

}  // namespace crate
