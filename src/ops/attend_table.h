// attend_table: the attention kernels, one table an instruction set.
#pragma once
#include "ops/attend_core.h"

namespace crate::attend {

/// The largest tiles of any instruction set, for the size of the scratch.
struct TileLimits {
  static constexpr std::ptrdiff_t rows = 96;     // queries of a tile
  static constexpr std::ptrdiff_t stride = 400;  // floats between its rows
  static constexpr std::ptrdiff_t panel = 64;    // keys packed side by side
  static constexpr std::ptrdiff_t group = 6;     // rows of a register block
  static constexpr std::ptrdiff_t lanes = 16;    // floats of a vector
};

extern const AttendKernels<float> table_baseline;
#if defined(__x86_64__)
extern const AttendKernels<float> table_avx2;
extern const AttendKernels<float> table_avx512;
extern const AttendKernels<float> table_bf16;
#endif

}  // namespace crate::attend
