#include "work/train/optimizer.h"

#include <cmath>

#include "base/error.h"

namespace crate {

Optimizer::Optimizer(Device& device, const std::vector<ParameterStore*>& stores, const OptimizerRecipe& recipe)
    : device_(device), stores_(stores), recipe_(recipe) {
  for (const char* kind : {"m/", "v/"}) {
    if (recipe.name == "lion" && kind[0] == 'v') break;
    for (ParameterStore* store : stores) {
      for (Param& p : store->all()) {
        moments_.push_back({kind + p.name, device.allocate(p.value.shape)});
        set_zero(device, moments_.back().value);
      }
    }
  }
}

Optimizer::~Optimizer() {
  for (Moment& m : moments_) device_.pool().release(m.value.data);
}

double Optimizer::update(double lr, double weight_decay, int64_t step) {
  double squares = 0;
  std::vector<Param*> params;
  for (ParameterStore* store : stores_) {
    for (Param& p : store->all()) {
      require(p.has_grad, "[optimizer] parameter {} received no gradient", p.name);
      squares += sum_of_squares(device_, p.grad);
      params.push_back(&p);
    }
  }
  const double norm = std::sqrt(squares), factor = clip_factor(norm, recipe_.clip);
  for (std::size_t i = 0; i < params.size(); ++i) {
    const Param& p = *params[i];
    const double decay = p.decay ? weight_decay : 0;
    const Tensor m = moments_[i].value;
    if (recipe_.name == "lion") {
      lion_step(device_, {p.value, p.grad, m},
                {.lr = lr, .beta1 = recipe_.beta1, .beta2 = recipe_.beta2, .decay = decay, .grad_scale = factor});
    } else {
      adamw_step(device_, {p.value, p.grad, m, moments_[params.size() + i].value},
                 {.lr = lr,
                  .beta1 = recipe_.beta1,
                  .beta2 = recipe_.beta2,
                  .eps = recipe_.eps,
                  .decay = decay,
                  .step = step + 1,
                  .grad_scale = factor});
    }
  }
  for (ParameterStore* store : stores_) store->values_changed();
  return norm;
}

}  // namespace crate
