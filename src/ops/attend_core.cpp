// attend_core: chooses among the kernels compiled for each instruction set.
#include "ops/attend_core.h"

#include <algorithm>

#include "base/error.h"
#include "ops/attend_table.h"

namespace crate {

const AttendKernels<float>& attend_kernels(Isa isa) {
  require(isa <= cpu_isa(), "[attend] expected an instruction set of this machine, at most {}, came {}",
          name_of(cpu_isa()), name_of(isa));
#if defined(__x86_64__)
  if (isa == Isa::avx512) return attend::table_avx512;
  if (isa == Isa::avx2) return attend::table_avx2;
#endif
  return attend::table_baseline;
}

const AttendKernels<float>* attend_kernels_bf16() {
#if defined(__x86_64__)
  if (cpu_isa() == Isa::avx512 && __builtin_cpu_supports("avx512bf16")) return &attend::table_bf16;
#endif
  return nullptr;
}

std::size_t attend_scratch(const AttendShape& shape) {
  using Limits = attend::TileLimits;
  const std::ptrdiff_t pp = (shape.p + Limits::lanes - 1) / Limits::lanes * Limits::lanes;
  const std::ptrdiff_t n_k = shape.n_k + Limits::panel;
  const std::ptrdiff_t n_q = shape.n_q + Limits::group;
  const std::ptrdiff_t whole_head = (5 * n_k + n_q) * pp;  // keys, two sets of panels, three gradients
  const std::ptrdiff_t tiles = Limits::rows * (3 * pp + 3 * Limits::stride);
  const std::ptrdiff_t few_queries = n_k + 2 * Limits::stride + 2 * pp;
  const std::ptrdiff_t alignment = 16 * Limits::lanes;
  // Where queries are keys: rows and panels of keys, values and gradients, two sums, a copy; a number and a vector a
  // row.
  const std::ptrdiff_t symmetric = 9 * n_k * pp + n_k + Limits::rows * (2 * Limits::stride + Limits::lanes);
  const bool may_be = !shape.causal && shape.n_q == shape.n_k;
  return static_cast<std::size_t>(std::max(whole_head + tiles + few_queries, may_be ? symmetric : 0) + alignment);
}

}  // namespace crate
