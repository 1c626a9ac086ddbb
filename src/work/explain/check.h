// check: does the network agree with its explanation? One unit at a time is set to zero and the network runs again,
// with nothing held. An explanation predicts the change -gives; what differs is what the unit does through patterns,
// scales and gates, which the explanation holds.
#pragma once
#include <vector>

#include "work/explain/explain.h"

namespace crate {

struct Ablation {
  Unit unit;
  double predicted = 0, actual = 0;  // change of the target
};

/// For heads and atoms of an explanation, in `network`, whose only row is what was explained.
std::vector<Ablation> ablate(const Subject& network, const Explanation& explanation, const std::vector<Part>& parts);

struct Agreement {
  double correlation = 0;  // of predicted and actual changes; 0 when one of them does not vary
  double slope = 0;        // actual = slope predicted, least squares
};
Agreement agreement_of(const std::vector<Ablation>& ablations);

}  // namespace crate
