// attend_table: the attention kernels, one table an instruction set.
#pragma once
#include "ops/attend_core.h"

namespace crate::attend {

extern const AttendKernels<float> table_baseline;
#if defined(__x86_64__)
extern const AttendKernels<float> table_avx2;
extern const AttendKernels<float> table_avx512;
#endif

}  // namespace crate::attend
