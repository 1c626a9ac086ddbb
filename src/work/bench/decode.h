// decode: what a token costs when it is made from those before it, and how near that comes to reading its weights once.
#pragma once
#include <cstdint>

#include "model/language_model.h"
#include "work/bench/speed.h"

namespace crate {

struct DecodeOptions {
  int64_t tokens = 64;    // steps, from an empty cache on
  int64_t sequences = 1;  // side by side
  double codes = 0;  // wide dictionaries: thresholds are set so that this share of codes is not zero; 0: as they are
  int repeats = 5;   // after one warm-up; over all their steps medians count
};

struct DecodeSpeed {
  SpeedOf step;           // per_second counts the tokens of all sequences
  double fastest_ms = 0;  // of a step
  double bytes = 0;       // that a step reads: weights that products touch, and rows of the caches
  double codes = 0;       // share of the last codes of a layer that are not zero; 0 for models without
  double gbs() const { return step.ms > 0 ? 1e-6 * bytes / step.ms : 0; }
};

/// Random tokens through a model as it is.
DecodeSpeed decode_speed(LanguageModel& model, const DecodeOptions& options);

/// Random weights. Throws Error where `codes` is asked of a family without a wide dictionary.
DecodeSpeed bench_decode(const ModelConfig& config, const DeviceOptions& device, const DecodeOptions& options);

}  // namespace crate
