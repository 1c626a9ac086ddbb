// state: what a training run needs besides the weights to go on: moments, averages, step, and what it must not be mixed
// up with.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "model/checkpoint.h"
#include "work/train/optimizer.h"
#include "work/train/recipe.h"
#include "work/train/task.h"

namespace crate {

/// How far a run has come, and the sums of its unfinished report.
struct TrainProgress {
  int64_t step = 0;
  double loss_sum = 0;
  int64_t loss_count = 0;
  Sums sums = {};  // of the task
};

/// Tensors by the names they have in training_state.safetensors.
using StateTensors = std::vector<std::pair<std::string, Tensor>>;

/// Adds training_state.safetensors and training.json to a directory being written.
void put_state(DirectoryWriter& directory, const StateTensors& tensors, const Recipe& recipe,
               const TrainProgress& progress, const std::string& data);
/// Restores the tensors; gives the progress. Throws Error when there is no state or it belongs to another model,
/// optimiser, seed or training data (`data` is the identity of what is at hand).
TrainProgress load_state(const DirectoryReader& directory, const StateTensors& tensors, const Recipe& recipe,
                         const std::string& data);

}  // namespace crate
