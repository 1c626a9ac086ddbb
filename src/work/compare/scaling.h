// scaling: how the loss falls with size, from experiments that differ in size alone: one folder of `crate compare` a
// size.
//
//   loss = c x^-e,   or above a floor   loss = a + c x^-e,        x: parameters, or FLOPs of the whole training
//
// The first has two numbers and shows its error; the second has three and takes four sizes or more. Both are fitted to
// means over seeds (base/power_law.h).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/power_law.h"

namespace crate {

struct ScalingPoint {
  std::string experiment;  // its folder
  double parameters = 0;
  double flops = 0;  // of the whole training
  double loss = 0;   // mean over seeds, nats
  int64_t seeds = 0;
  /// Loss less that of the experiment's reference and half its 95 % interval, infinite for one seed; 0 and 0 for the
  /// reference itself.
  double difference = 0, half_width = 0;
};

struct ScalingLaw {
  PowerLaw plain;
  std::optional<FlooredLaw> floored;  // of four sizes or more
};

struct ScalingCurve {
  std::string arm;
  bool reference = false;
  std::vector<ScalingPoint> points;  // parameters rising
  ScalingLaw by_parameters, by_flops;
};

/// The arms that all experiments have, each with its laws. `folders` hold results.json of `crate compare`, three or
/// more, no two of one size. Throws Error naming the folder that is damaged, or was stopped, or has another reference
/// or a run that diverged.
std::vector<ScalingCurve> scaling_of(const std::vector<std::string>& folders);

/// FLOPs of a training of so many parameters, if they go on growing with them as they did.
double flops_at(const ScalingCurve& curve, double parameters);

/// Loss over parameters, and over FLOPs, both axes logarithmic.
std::string figure_of(const std::vector<ScalingCurve>& curves);

}  // namespace crate
