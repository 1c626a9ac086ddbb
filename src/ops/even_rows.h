// even_rows: a walk over rows in pieces that stay in a core's cache, as long as each other so that threads finish
// together. CRATE-S of one image, 197 rows: pieces of 128 and 69 left one of two threads waiting for half of its time.
#pragma once
#include "base/parallel.h"

namespace crate {

/// f(lo, hi) on the fewest pieces of at most `most` rows; where they begin depends on `rows` alone.
template <class F> void even_rows(int64_t rows, int64_t most, F&& f) {
  const int64_t pieces = std::max<int64_t>(1, (rows + most - 1) / most);
  parallel_chunks(rows, std::max<int64_t>(1, (rows + pieces - 1) / pieces),
                  [&](int64_t, int64_t lo, int64_t hi) { f(lo, hi); });
}

}  // namespace crate
