// parallel: loops over the one pool of threads of the process (OpenMP, shared with oneDNN).
#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

namespace crate {

/// Threads a parallel loop would use here: 1 inside another parallel loop.
inline int thread_count() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }

/// Sets the size of the pool for the whole process; 0 keeps the machine's number of cores.
inline void set_thread_count(int threads) {
  if (threads > 0) omp_set_num_threads(threads);
}

/// Calls f(lo, hi) on consecutive pieces of [0, n), one a thread, none smaller than `grain` (but the last). What f
/// computes for an index must not depend on where the pieces begin, so that results do not depend on the thread count.
template <class F> void parallel_for(int64_t n, int64_t grain, F&& f) {
  const int64_t pieces = std::min<int64_t>(thread_count(), std::max<int64_t>(1, n / std::max<int64_t>(1, grain)));
  if (n <= 0) return;
  if (pieces <= 1) return f(int64_t{0}, n);
  std::exception_ptr error;
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(pieces))
  for (int64_t i = 0; i < pieces; ++i) {
    try {
      f(i * n / pieces, (i + 1) * n / pieces);
    } catch (...) {
#pragma omp critical(crate_parallel_error)
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

/// Calls f(chunk, lo, hi) for the ceil(n / size) chunks of fixed `size`; threads take chunks as they become free. The
/// chunk borders do not depend on the thread count, so sums kept per chunk and added in chunk order are reproducible.
template <class F> void parallel_chunks(int64_t n, int64_t size, F&& f) {
  const int64_t chunks = (n + size - 1) / size;
  if (chunks <= 1 || thread_count() == 1) {
    for (int64_t c = 0; c < chunks; ++c) f(c, c * size, std::min(n, (c + 1) * size));
    return;
  }
  std::exception_ptr error;
#pragma omp parallel for schedule(dynamic)
  for (int64_t c = 0; c < chunks; ++c) {
    try {
      f(c, c * size, std::min(n, (c + 1) * size));
    } catch (...) {
#pragma omp critical(crate_parallel_error)
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace crate
