// compare: trains the arms of an experiment under one budget, for outcome.h to say what the numbers say.
//
// 1. Each arm is sized to the reference's parameters, FLOPs or both (size.h).
// 2. Each arm tries the same learning rates for the same number of steps with the first seed, the schedule shrunk to
//    them; the lowest validation loss wins. What an arm spends on this is the same for all. With lr_steps = 0 tries are
//    as long as runs, and the best is the first seed's run.
// 3. With match = time the steps of an arm are those that take as long as the reference's, by the speed of a short run.
// 4. Every seed trains every arm: same text, same order of batches, same schedule.
// 5. Where asked for, each arm is evaluated untrained and with its blocks rotated (controls.h), seed by seed.
//
// The folder holds plan.json (what was asked for), a folder a run with the model and its result.json, results.json and
// curves.svg. Run again, it takes up where it was; more seeds or controls may then be asked for.
#pragma once
#include <atomic>
#include <functional>
#include <string>

#include "work/compare/outcome.h"
#include "work/train/trainer.h"

namespace crate {

/// How far the whole experiment is.
struct CompareProgress {
  std::string run;               // "white seed 1"
  int64_t number = 0, runs = 0;  // this one counts from 1
  double done = 0;               // share of all work, 0 to 1, as FLOPs tell
  double seconds_left = 0;       // at the speed seen so far; 0: not known yet
};

struct CompareOptions {
  std::string out;
  bool force = false;  // start over although the folder holds another experiment
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const Comparison&)> sized = {};  // before anything is trained
  std::function<void(const CompareProgress&)> started = {};
  std::function<void(const CompareProgress&, const StepReport&)> step = {};
};

/// Throws Error; finished runs are kept.
Comparison compare(const Experiment& experiment, const CompareOptions& options);

}  // namespace crate
