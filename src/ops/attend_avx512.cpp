// attend_avx512: the attention kernels for x86-64 machines with AVX512.
#if defined(__x86_64__)
#include "ops/attend_kernel.h"
#include "ops/attend_table.h"

namespace crate::attend {

const AttendKernels<float> table_avx512 = table<F32>;

}  // namespace crate::attend
#endif
