// causal: what happens when single units are taken away or driven, on a neutral text (held-out windows).
//
//   specificity  the unit is removed at every token; KL_t = KL(p_t || q_t) of the next-token distributions before and
//                after. A = mean of KL_t weighted by the unit's value, I = mean of KL_t where the unit is off;
//                specificity = A / (A + I): 1 when only its own tokens change, 1/2 when all change alike.
//   steering     the unit is driven by a constant that costs KL = 0.1 nat a token on the neutral text. T = the 10
//   tokens
//                whose share among the tokens after the unit's own (weighted by its value, other half of the documents)
//                most exceeds their share of the text. steering = ln mean q_t(T) - ln mean p_t(T), in nats: what was
//                bought for that price.
//   dose         1 when mean q(T) rises at a quarter, at half and at the whole of that constant, else 0.
// Units that are never on, or cannot be driven to that price, count as 0 (specificity and steering alike).
#pragma once
#include <cstdint>
#include <vector>

#include "work/report/reading.h"

namespace crate {

struct CausalOptions {
  int64_t units = 8;           // of each layer
  int64_t tokens = 1024;       // of the neutral text for specificity
  int64_t steer_tokens = 256;  // and for steering
  double kl = 0.1;
};

/// One value a (layer, unit), layers in order.
struct CausalScores {
  std::vector<double> specificity, steering, dose;
};

/// The first `units` directions of every layer of a view; `reading` must have followed them.
CausalScores causal_scores(LanguageModel& model, const std::vector<Window>& windows, const View& view,
                           const ViewReading& reading, const CausalOptions& options);

}  // namespace crate
