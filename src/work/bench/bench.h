// bench: end-to-end speed of a model: a training step, a forward, a decoded token.
#pragma once
#include <cstdint>

#include "model/config.h"
#include "tensor/device.h"

namespace crate {

struct BenchOptions {
  int64_t batch = 32;
  int repeats = 5;  // after one warm-up; medians count
  int64_t decode_tokens = 64;
  bool train_only = false;    // leave out forward and decoding
};

struct SpeedOf {
  double ms = 0;  // median
  double tokens_per_second = 0;
  double gflops = 0;  // counted by the operators / median time
};

struct ModelSpeed {
  SpeedOf train, forward, decode;
  double peak_memory_bytes = 0;  // of the device's pool in training
};

/// Random weights and tokens; training updates with AdamW.
ModelSpeed bench_model(const ModelConfig& config, const DeviceOptions& device, const BenchOptions& options);

}  // namespace crate
