// attend_avx2: the attention kernels for x86-64 machines with AVX2.
#if defined(__x86_64__)
#include "ops/attend_kernel.h"
#include "ops/attend_table.h"

namespace crate::attend {

const AttendKernels<float> table_avx2 = table<F32>;

}  // namespace crate::attend
#endif
