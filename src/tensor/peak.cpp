#include "tensor/peak.h"

#include <dnnl.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <vector>

#include "base/parallel.h"
#include "tensor/pool.h"
#include "tensor/vector.h"

namespace crate {
namespace {

double seconds_of(auto&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double product_gflops(int64_t n, int repeats) {
  const std::vector<float> a(static_cast<std::size_t>(n * n), 0.5F), b = a;
  std::vector<float> c = a;
  double best = 0;
  for (int i = 0; i < repeats; ++i) {
    const double s =
        seconds_of([&] { dnnl_sgemm('N', 'N', n, n, n, 1.0F, a.data(), n, b.data(), n, 0.0F, c.data(), n); });
    best = std::max(best, 2e-9 * static_cast<double>(n * n * n) / s);
  }
  return best;
}

double copy_gbs() {
  constexpr int64_t n = int64_t{32} << 20;  // floats: 128 MiB each way
  std::vector<float> from(n, 1.0F), to(n, 0.0F);
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const double s = seconds_of([&] {
      parallel_for(n, 1 << 16,
                   [&](int64_t lo, int64_t hi) { std::copy(from.begin() + lo, from.begin() + hi, to.begin() + lo); });
    });
    best = std::max(best, 2e-9 * static_cast<double>(n) * sizeof(float) / s);
  }
  return best;
}

CRATE_CLONES float read_all(const float* x, int64_t n) {
  constexpr int width = 64, ahead = 512;
  float sums[width] = {};
  for (int64_t j = 0; j + width <= n; j += width) {
    for (int l = 0; l < width; l += 16) __builtin_prefetch(x + j + ahead + l);
#pragma omp simd
    for (int l = 0; l < width; ++l) sums[l] += x[j + l];
  }
  return *std::max_element(sums, sums + width);
}

// In pieces, each of which counts with the fastest of its turns: on a busy machine no long walk goes undisturbed.
double read_gbs() {
  constexpr int64_t pieces = 32, n = int64_t{2} << 20;  // of floats: 8 MiB a piece
  Pool pool;
  const Scratch block(pool, pieces * n * sizeof(float));
  float* x = block.as<float>();
  parallel_for(pieces * n, 1 << 16, [=](int64_t lo, int64_t hi) { std::fill(x + lo, x + hi, 1.0F); });
  std::vector<double> best(pieces, 1e9);
  std::atomic<float> seen = 0;  // what is read is used
  for (int turn = 0; turn < 5; ++turn) {
    for (int64_t p = 0; p < pieces; ++p) {
      double& fastest = best[static_cast<std::size_t>(p)];
      fastest = std::min(fastest, seconds_of([&] {
                           parallel_for(n, 1 << 16,
                                        [&](int64_t lo, int64_t hi) { seen = read_all(x + p * n + lo, hi - lo); });
                         }));
    }
  }
  return 1e-9 * static_cast<double>(pieces * n) * sizeof(float) / std::accumulate(best.begin(), best.end(), 0.0);
}

}  // namespace

MachinePeak measure_peak() {
  return {std::max({product_gflops(1024, 6), product_gflops(1536, 4), product_gflops(2048, 4)}), copy_gbs(),
          read_gbs()};
}

}  // namespace crate
