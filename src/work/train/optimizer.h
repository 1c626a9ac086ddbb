// optimizer: AdamW or Lion over all parameters of a task, with global-norm clipping.
#pragma once
#include <vector>

#include "model/store.h"
#include "ops/optimiser.h"
#include "work/train/recipe.h"

namespace crate {

class Optimizer {
 public:
  Optimizer(Device& device, const std::vector<ParameterStore*>& stores, const OptimizerRecipe& recipe);
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update with the gradients in the stores; gives their norm before clipping. `step` counts from 0.
  double update(double lr, double weight_decay, int64_t step);

  /// Moments by parameter, "m/<name>" and "v/<name>" (Lion has no v).
  struct Moment {
    std::string name;
    Tensor value;
  };
  const std::vector<Moment>& moments() const { return moments_; }
  const std::string& name() const { return recipe_.name; }

 private:
  Device& device_;
  std::vector<ParameterStore*> stores_;
  OptimizerRecipe recipe_;
  std::vector<Moment> moments_;  // m of every parameter, then v of every parameter
};

}  // namespace crate
