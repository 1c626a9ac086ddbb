// exact_avx2: the exact products for x86-64 machines with AVX2.
#if defined(__x86_64__)
#include "tensor/exact_kernel.h"

namespace crate {

const ExactKernels exact_avx2{"avx2", panel, product};

}  // namespace crate
#endif
