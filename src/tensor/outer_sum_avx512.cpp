// outer_sum on f32 operands for x86-64 with AVX-512.
#if defined(__x86_64__)
#include "tensor/outer_sum_kernel.h"

namespace crate {

const OuterKernels outer_avx512 = outer_table<F32Step>();

}  // namespace crate
#endif
