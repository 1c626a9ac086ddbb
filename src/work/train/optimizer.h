// optimizer: AdamW, Lion or Muon over all parameters of a task, with global-norm clipping. Muon is for the matrices of
// the blocks; embeddings, head and vectors then go with AdamW at the same rate (ops/muon.h says why that fits).
#pragma once
#include <functional>
#include <vector>

#include "model/store.h"
#include "ops/optimiser.h"
#include "work/train/recipe.h"

namespace crate {

class Optimizer {
 public:
  /// `fixed` tells parameters that stay as they are; none by default.
  Optimizer(Device& device, const std::vector<ParameterStore*>& stores, const OptimizerRecipe& recipe,
            const std::function<bool(const Param&)>& fixed = {});
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update with the gradients in the stores; gives their norm before clipping. `step` counts from 0.
  double update(double lr, double weight_decay, int64_t step);

  /// Moments by parameter, "m/<name>" and "v/<name>" (Lion has no v, nor has what Muon updates).
  struct Moment {
    std::string name;
    Tensor value;
  };
  const std::vector<Moment>& moments() const { return moments_; }
  const std::string& name() const { return recipe_.name; }

 private:
  // What a parameter is updated by, in the order of params_.
  struct Rule {
    enum Kind : uint8_t { adamw, lion, muon } kind = adamw;
    Tensor m, v = {};
  };
  void update_one(const Param& p, const Rule& rule, double lr, double decay, double grad_scale, int64_t step);
  Tensor add_moment(const char* kind, const Param& p);

  Device& device_;
  std::vector<ParameterStore*> stores_;
  std::vector<Param*> params_;  // that are learned
  OptimizerRecipe recipe_;
  std::vector<Moment> moments_;
  std::vector<Rule> rules_;
};

}  // namespace crate
