// text: the bytes that crate mdl measures: what the models are trained on, and parts of it as files.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "work/train/recipe.h"

namespace crate {

/// The bytes a recipe trains on, without those it keeps for validation.
std::string training_text(const DataRecipe& data);

/// `bytes` of the text in eight pieces from all over it; all of it where it is no longer.
std::string spread_sample(const std::string& text, int64_t bytes);

/// Size of the source files that decode under a model, deflated together; 0 where the folder has none.
int64_t decoder_source_bytes(const std::string& source);

/// Bits of the text by the log of a training (metrics.jsonl): a pass of `bytes`.
struct Curve {
  double prequential = 0, above_end = 0;
};
Curve curve_of(const std::string& metrics, int64_t bytes);

}  // namespace crate
