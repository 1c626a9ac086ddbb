// attend_bf16: the attention kernels for x86-64 machines with AVX512 and bf16 products, which read rounded numbers.
#if defined(__x86_64__)
#include "ops/attend_kernel.h"
#include "ops/attend_table.h"

namespace crate::attend {

const AttendKernels<float> table_bf16 = table<Bf16>;

}  // namespace crate::attend
#endif
