// steer: what a change of atoms does to what a model writes, and how much it disturbs everything else.
//
//   KL = mean over the tokens of a neutral text of sum_j p_j log(p_j / q_j)     p without, q with the change
// in nats a token: 0 when the change does nothing there. A steering is fair to compare with another at equal KL.
#pragma once
#include <cstdint>
#include <vector>

#include "model/language_model.h"
#include "work/steer/intervention.h"

namespace crate {

/// Over disjoint windows of the model's context; positions count from the beginning of the text. Throws Error when the
/// text is empty.
double mean_kl(LanguageModel& model, const std::vector<int32_t>& text, const std::vector<Intervention>& changes);

/// The changes with every added value multiplied by one factor, so that their KL on the text comes to `target` (within
/// 2 %). Throws Error when nothing is added, or when no factor up to 2^20 reaches the target.
std::vector<Intervention> at_kl(LanguageModel& model, const std::vector<int32_t>& text,
                                std::vector<Intervention> changes, double target);

}  // namespace crate
