// verify: does a recorded explanation hold? Everything in it is computed again from the model and the input, and every
// number and text is compared; only what viewers may change (qParams, names of units, the slug) is not.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace crate {

struct Tolerance {
  double relative;       // of the number itself
  double of_scale;       // of the largest contribution
  double of_served = 0;  // of the target, for what the serving forward computed: machines round it differently
};

struct Verification {
  std::size_t numbers = 0, texts = 0;    // compared
  double worst = 0;                      // largest difference, as a share of what is allowed
  std::vector<std::string> differences;  // what does not hold, each by its place
};

/// `recorded` against `computed`, both documents of work/explain/graph_json.h. Units and links may differ only where
/// their influence lies within rounding of a threshold.
Verification compare_graphs(const nlohmann::json& recorded, const nlohmann::json& computed, Tolerance tolerance);

}  // namespace crate
