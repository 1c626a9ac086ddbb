#include "tensor/peak.h"

#include <dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/parallel.h"

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
    const double s = seconds_of([&] { dnnl_sgemm('N', 'N', n, n, n, 1.0F, a.data(), n, b.data(), n, 0.0F, c.data(), n); });
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
      parallel_for(n, 1 << 16, [&](int64_t lo, int64_t hi) { std::copy(from.begin() + lo, from.begin() + hi, to.begin() + lo); });
    });
    best = std::max(best, 2e-9 * static_cast<double>(n) * sizeof(float) / s);
  }
  return best;
}

}  // namespace

MachinePeak measure_peak() {
  return {std::max({product_gflops(1024, 6), product_gflops(1536, 4), product_gflops(2048, 4)}), copy_gbs()};
}

}  // namespace crate
