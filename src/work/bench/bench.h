// bench: end-to-end speed of a model: a training step, a forward, a decoded token, an explained one; for images,
// batches of several sizes.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "work/bench/decode.h"

namespace crate {

/// passes: training step and forward; without decoding and explaining.
enum class BenchPart : uint8_t { all, train, forward, passes, decode, explain };

struct BenchOptions {
  BenchPart part = BenchPart::all;
  int64_t batch = 32;
  int repeats = 5;  // after one warm-up; medians count
  DecodeOptions decode = {};
  int64_t explain_tokens = 128, explain_top = 500;
};

/// What training steps hold at most.
struct TrainingMemory {
  double peak_bytes = 0;      // of the device's pool
  double state_bytes = 0;     // of it parameters, gradients and moments
  double resident_bytes = 0;  // by which the process grew, from before its first model: packed weights and kernels too
  /// What a step holds besides the state, shared out.
  double per_token_and_layer(int64_t tokens, int64_t layers) const {
    return (peak_bytes - state_bytes) / static_cast<double>(tokens * layers);
  }
};

struct ModelSpeed {
  SpeedOf train, forward;
  DecodeSpeed decode;
  SpeedOf explain;  // one prediction: walk, cuts, effects among the top heads and atoms, graph; per_second of these
  TrainingMemory memory;
};

/// Random weights and tokens; training updates with AdamW.
ModelSpeed bench_model(const ModelConfig& config, const DeviceOptions& device, const BenchOptions& options);

struct ImageBenchOptions {
  BenchPart part = BenchPart::all;            // or train, or forward
  std::vector<int64_t> batches = {1, 8, 32};  // of the forwards
  int64_t train_batch = 16;
  int repeats = 5;
};

struct ImageSpeed {
  SpeedOf train;
  std::vector<std::pair<int64_t, SpeedOf>> forward;  // batch, speed
  TrainingMemory memory;
};

/// Random weights, images and noise; training updates with AdamW. An auto-encoder's forward ends in its loss.
ImageSpeed bench_images(const ModelConfig& config, const DeviceOptions& device, const ImageBenchOptions& options);

}  // namespace crate
