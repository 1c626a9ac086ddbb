// speed: what all measurements of a model's speed share.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "base/rng.h"

namespace crate {

struct SpeedOf {
  double ms = 0;          // median
  double per_second = 0;  // tokens, or images
  double gflops = 0;      // counted by the operators / median time
};

inline double ms_of(auto&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

inline double median_of(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// Of `repeats` calls after one more; f says how many operations it took.
SpeedOf speed(int repeats, int64_t items, auto&& f) {
  double flops = f();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) times.push_back(ms_of([&] { flops = f(); }));
  const double ms = median_of(times);
  return {ms, 1e3 * static_cast<double>(items) / ms, 1e-6 * flops / ms};
}

inline std::vector<int32_t> random_tokens(int64_t count, int64_t vocab) {
  std::vector<int32_t> out(static_cast<std::size_t>(count));
  const Rng rng(1, Stream::data);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab), 0, i));
  return out;
}

}  // namespace crate
