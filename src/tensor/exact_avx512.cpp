// exact_avx512: the exact products for x86-64 machines with AVX512.
#if defined(__x86_64__)
#include "tensor/exact_kernel.h"

namespace crate {

const ExactKernels exact_avx512{"avx512", panel, product};

}  // namespace crate
#endif
