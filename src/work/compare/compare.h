// compare: trains the arms of an experiment under one budget and says what the numbers say.
//
// 1. Each arm is sized to the reference's parameters, FLOPs or both (size.h).
// 2. Each arm tries the same learning rates for the same number of steps with the first seed; the lowest validation
// loss
//    wins. What an arm spends on this is the same for all.
// 3. With match = time the steps of an arm are those that take as long as the reference's, by the speed of a short run.
// 4. Every seed trains every arm: same text, same order of batches, same schedule.
//
// The folder holds plan.json (1-3), one model directory a run, results.json and curves.svg. Run again, it continues.
#pragma once
#include <atomic>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "work/compare/experiment.h"
#include "work/compare/size.h"
#include "work/compare/statistics.h"
#include "work/train/trainer.h"

namespace crate {

struct RateTry {
  double lr = 0, loss = 0;  // validation, nats a token
};

struct RunResult {
  uint64_t seed = 0;
  double loss = 0, bits_per_byte = 0;            // validation at the end
  double nonzero = 0;                            // mean over layers
  double seconds = 0;                            // of training, summed over restarts as metrics.jsonl tells
  std::vector<std::pair<double, double>> curve;  // (step, validation loss)
};

struct ArmResult {
  std::string name;
  Recipe recipe;  // as sized, with its learning rate and steps
  Budget budget;
  double mismatch = 0;  // relative, to the reference's budget
  std::vector<RateTry> tries;
  std::vector<RunResult> runs;  // a seed each

  Estimate loss() const;
};

struct Comparison {
  std::string reference;
  Match match = Match::none;
  bool stopped = false;  // before every run was done
  std::vector<ArmResult> arms;

  const ArmResult& reference_arm() const;
  /// Loss of the arm less that of the reference, paired by seed; below 0: the arm is better.
  Estimate difference(const ArmResult& arm) const;
};

struct CompareOptions {
  std::string out;
  bool force = false;  // start over although the folder holds another experiment
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const std::string& run, int64_t done, int64_t all)> started = {};  // "white seed 1", runs
  std::function<void(const StepReport&)> step = {};
};

/// Throws Error; finished runs are kept.
Comparison compare(const Experiment& experiment, const CompareOptions& options);

/// No more than the numbers say: "white is worse than twin by 0.02 +- 0.01 nats a token (95 %, 3 seeds)".
std::string verdict(const Comparison& comparison, const ArmResult& arm);

std::string to_json(const Comparison& comparison);
/// Validation loss over steps, one line an arm (mean over its seeds).
std::string curves_svg(const Comparison& comparison);

}  // namespace crate
