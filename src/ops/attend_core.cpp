// attend_core: chooses among the kernels compiled for each instruction set.
#include "ops/attend_core.h"

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

std::size_t attend_scratch(const AttendShape& shape) {
  // Bounds for the widest vectors: rows in multiples of 16 floats, panels of 64 keys, tiles of 96 x 400, 6 rows of
  // slack.
  const auto pp = static_cast<std::size_t>((shape.p + 15) / 16 * 16);
  const auto n_q = static_cast<std::size_t>(shape.n_q) + 6;
  const auto n_k = static_cast<std::size_t>(shape.n_k) + 64;
  const std::size_t whole_head = (5 * n_k + n_q) * pp;
  const std::size_t tiles = 96 * (3 * pp + 2 * 400);
  return whole_head + tiles + n_k + 1024;
}

}  // namespace crate
