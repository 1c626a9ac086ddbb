// outer_sum on operands rounded to bf16 for x86-64 with AVX-512 BF16.
#if defined(__x86_64__)
#include "tensor/outer_sum_kernel.h"

namespace crate {

const OuterKernels outer_avx512_bf16 = outer_table<Bf16Step>();

}  // namespace crate
#endif
