// mix_baseline: the loops of a mixture for every machine.
#include "work/compress/mix_loops.h"

namespace crate::mix {
const Loops loops_baseline{dot, move};
}  // namespace crate::mix
