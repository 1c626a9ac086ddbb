// peak: what this machine can do at most, measured now, so that speeds can be told as shares of it.
#pragma once

namespace crate {

struct MachinePeak {
  double f32_gflops = 0;     // the fastest of several large square f32 products (oneDNN), all threads of the pool
  double bandwidth_gbs = 0;  // reading and writing a buffer much larger than the caches, all threads
  double read_gbs = 0;       // reading alone, likewise: what decoding, which reads weights, could reach
};

/// Takes about half a second.
MachinePeak measure_peak();

/// GFLOP/s of the fastest of several large square products of bf16 numbers with f32 sums, operands in the layout that
/// oneDNN likes best; 0 where it has no such kernel.
double measure_bf16_peak();

}  // namespace crate
