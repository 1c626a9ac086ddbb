// trainer: the loop that turns a recipe into a model directory.
//
// A step is a function of (weights, moments, step number): batches and dropout are addressed by the step, sums are
// added in a fixed order. A checkpoint holds exactly that state, so a resumed run continues bit for bit.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "model/language_model.h"
#include "work/eval/evaluate.h"
#include "work/train/recipe.h"

namespace crate {

/// What a step tells its observer; also a line of metrics.jsonl.
struct StepReport {
  int64_t step = 0, steps = 0;  // steps done
  double loss = 0;              // mean over the steps since the last report, nats per token
  double bits_per_byte = 0;     // of the same targets
  double lr = 0, grad_norm = 0;
  int64_t tokens = 0;            // seen in training so far
  double seconds = 0;            // of training so far, this process
  double tokens_per_second = 0;  // since the last report
  double peak_share = 0;         // of the machine's f32 product peak; 0 when not measured
  double code_nonzero = 0;       // mean over layers
};

struct TrainObserver {
  std::function<void(const StepReport&)> step = {};
  std::function<void(int64_t step, const EvalResult&)> evaluated = {};
  std::function<void(int64_t step, const std::string& folder)> saved = {};
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
  EvalResult validation;
  StepReport last;
};

/// Throws Error; the last complete checkpoint stays as it was.
TrainResult train(const Recipe& recipe, const TrainOptions& options);

}  // namespace crate
