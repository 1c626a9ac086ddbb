// mix_avx2: the loops of a mixture for x86-64 with AVX2.
#if defined(__x86_64__)
#include "work/compress/mix_loops.h"

namespace crate::mix {
const Loops loops_avx2{dot, move};
}  // namespace crate::mix
#endif
