// bench: end-to-end speed of a model: a training step, a forward, a decoded token, an explained one; for images,
// batches of several sizes.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "model/config.h"
#include "tensor/device.h"

namespace crate {

struct BenchOptions {
  int64_t batch = 32;
  int repeats = 5;  // after one warm-up; medians count
  int64_t decode_tokens = 64;
  int64_t explain_tokens = 128, explain_top = 500;
  bool explain_only = false;
  bool train_only = false;  // leave out forward and decoding
};

struct SpeedOf {
  double ms = 0;          // median
  double per_second = 0;  // tokens, or images
  double gflops = 0;      // counted by the operators / median time
};

struct ModelSpeed {
  SpeedOf train, forward, decode;
  SpeedOf explain;  // one prediction: walk, cuts, effects among the top heads and atoms, graph; per_second of these
  double peak_memory_bytes = 0;  // of the device's pool in training
};

/// Random weights and tokens; training updates with AdamW.
ModelSpeed bench_model(const ModelConfig& config, const DeviceOptions& device, const BenchOptions& options);

struct ImageBenchOptions {
  std::vector<int64_t> batches = {1, 8, 32};  // of the forwards
  int64_t train_batch = 16;
  int repeats = 5;
  bool train_only = false;
};

struct ImageSpeed {
  SpeedOf train;
  std::vector<std::pair<int64_t, SpeedOf>> forward;  // batch, speed
  double peak_memory_bytes = 0;
};

/// Random weights, images and noise; training updates with AdamW. An auto-encoder's forward ends in its loss.
ImageSpeed bench_images(const ModelConfig& config, const DeviceOptions& device, const ImageBenchOptions& options);

}  // namespace crate
