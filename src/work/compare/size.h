// size: the budget of a model, and the shape that spends the same.
//
// Parameters count every number of the model; FLOPs are those of training a token at the full context, or an image
// (forward and backward), as the operators count them.
#pragma once
#include "model/config.h"
#include "work/compare/experiment.h"

namespace crate {

struct Budget {
  double parameters = 0;
  double flops = 0;  // of training a token or an image
};

Budget budget_of(const ModelConfig& config);

/// The largest relative distance |ln(a/b)| over what `match` compares; 0 for none and time.
double mismatch(const Budget& a, const Budget& b, Match match);

/// `config` with another width (multiples of 2 heads, so that rotary pairs fit), number of atoms (multiples of 8) and,
/// where both budgets must agree, number of layers: the closest to `target`, and among the equally close (within 0.5 %)
/// the one whose shape changed least.
ModelConfig sized_to(const ModelConfig& config, const Budget& target, Match match);

}  // namespace crate
