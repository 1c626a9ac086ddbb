// state: what a training run needs besides the weights to go on: moments, step, and what it must not be mixed up with.
#pragma once
#include <string>

#include "model/checkpoint.h"
#include "work/data/tokens.h"
#include "work/train/optimizer.h"
#include "work/train/recipe.h"

namespace crate {

/// How far a run has come, and the sums of its unfinished report.
struct TrainProgress {
  int64_t step = 0;
  double loss_sum = 0;
  int64_t loss_count = 0;
  int64_t bytes = 0;  // of the targets
};

/// What tells a corpus from another without reading all of it: its length and a hash of tokens spread over it.
std::string identity_of(const Tokens& corpus);

/// Adds training_state.safetensors and training.json to a directory being written.
void put_state(DirectoryWriter& directory, const Optimizer& optimizer, const Recipe& recipe,
               const TrainProgress& progress, const std::string& data);
/// Restores the moments; gives the progress. Throws Error when there is no state or it belongs to another model,
/// optimiser, seed or corpus (`data` is the identity_of the corpus at hand).
TrainProgress load_state(const DirectoryReader& directory, Optimizer& optimizer, const Recipe& recipe,
                         const std::string& data);

/// Drops lines of metrics.jsonl that were written after `step`, by a run that was cut short. A finished run validates
/// once more when it is resumed: then the last validation is dropped too.
void truncate_metrics(const std::string& folder, int64_t step, bool finished);

}  // namespace crate
