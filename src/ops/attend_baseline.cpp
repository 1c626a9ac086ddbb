// attend_baseline: the attention kernels for every machine of the architecture.
#include "ops/attend_kernel.h"
#include "ops/attend_table.h"

namespace crate::attend {

const AttendKernels<float> table_baseline = table<F32>;

}  // namespace crate::attend
