// trainer: the loop that turns a recipe into a model directory: steps, schedule, optimiser, checkpoints, metrics. What
// is learned is a task (task.h).
//
// A step is a function of (weights, moments, step number): batches and dropout are addressed by the step, sums are
// added in a fixed order. A checkpoint holds exactly that state, so a resumed run continues bit for bit.
#pragma once
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "work/train/recipe.h"
#include "work/train/task.h"

namespace crate {

/// What a step tells its observer; also a line of metrics.jsonl.
struct StepReport {
  int64_t step = 0, steps = 0;  // steps done
  double loss = 0;              // mean over the steps since the last report
  std::vector<Metric> metrics;  // of the same steps: "bits_per_byte", "top1", ...
  double lr = 0, grad_norm = 0;
  const char* unit = "";    // "tokens", "images"
  int64_t seen = 0;         // of those, in training so far
  double seconds = 0;       // of training so far, this process
  double per_second = 0;    // units, since the last report
  double peak_share = 0;    // of the machine's f32 product peak; 0 when not measured
  double code_nonzero = 0;  // mean over layers
};

struct TrainObserver {
  std::function<void(const StepReport&)> step = {};
  /// Of the weights, and with [train] ema a second time of their average.
  std::function<void(int64_t step, const Validation&, bool averaged)> evaluated = {};
  std::function<void(int64_t step, const Measurement&)> measured = {};
  std::function<void(int64_t step, const std::string& folder)> saved = {};
  std::function<void(int64_t step, const std::string& why)> left_out = {};  // a damaged sample, met for the first time
  std::function<void(const Run&)> traced = {};  // the tape of the first part of the first step, timed
};

struct TrainOptions {
  std::string out;      // the model directory
  bool resume = false;  // continue what is there; start when nothing is
  bool force = false;   // start over although something is there
  DeviceKind device = DeviceKind::cpu;
  double peak_gflops = 0;                   // for peak_share
  const std::atomic<bool>* stop = nullptr;  // when true: save and return after the current step
  TrainObserver observer = {};
};

struct TrainResult {
  int64_t step = 0;
  bool stopped = false;
  Validation validation, averaged;  // averaged: of the mean of the weights, with [train] ema
  StepReport last;
};

/// Throws Error; the last complete checkpoint stays as it was.
TrainResult train(const Recipe& recipe, const TrainOptions& options);

}  // namespace crate
