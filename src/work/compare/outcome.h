// outcome: what an experiment gave, and what may be said of it.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "work/compare/experiment.h"
#include "work/compare/size.h"
#include "work/compare/statistics.h"
#include "work/train/task.h"

namespace crate {

struct RateTry {
  double lr = 0, loss = 0;  // validation; infinite: diverged
};

struct RunResult {
  uint64_t seed = 0;
  double loss = 0;                                    // validation at the end; infinite: diverged
  std::string unit = {};                              // what a loss is the mean of: "tokens", "images"
  std::vector<Metric> metrics = {};                   // of the same validation: "bits_per_byte", "top1", ...
  double nonzero = 0;                                 // of the codes, mean over layers
  double seconds = 0;                                 // of training, without validation and saving
  std::vector<std::pair<double, double>> curve = {};  // (step, validation loss)
};

struct ControlResult {
  Control control = Control::untrained;
  std::vector<RunResult> runs;  // a seed each
};

struct ArmResult {
  std::string name;
  Recipe recipe;  // as sized, with its learning rate and steps
  Budget budget;
  double mismatch = 0;  // relative, to the reference's budget
  std::vector<RateTry> tries;
  std::vector<RunResult> runs;  // a seed each
  std::vector<ControlResult> controls;

  int64_t diverged() const;  // runs
  /// Over the runs that did not diverge; throws Error when none is left.
  Estimate loss() const;
  double seconds() const;  // mean
};

struct Comparison {
  std::string reference;
  Match match = Match::none;
  bool stopped = false;  // before every run was done
  std::vector<ArmResult> arms;

  const ArmResult& reference_arm() const;
  /// "token", "image"
  std::string unit() const;
  /// Loss of the arm less that of the reference, paired by seed; below 0: the arm is better. Throws Error when a run of
  /// either diverged.
  Estimate difference(const ArmResult& arm) const;
};

/// No more than the numbers say: "white is worse than twin by 0.02 +- 0.01 nats a token (95 %, 3 seeds)", and where the
/// budgets do not meet, by how much.
std::string verdict(const Comparison& comparison, const ArmResult& arm);

/// What a reader of the table must know beside it: rates at the edge of the search, no search at all, many intervals.
std::vector<std::string> notes(const Comparison& comparison);

std::string to_json(const Comparison& comparison);
/// Validation loss over steps, one line an arm (mean over its seeds); empty when every run diverged
/// before it was validated.
std::string curves_svg(const Comparison& comparison);

}  // namespace crate
