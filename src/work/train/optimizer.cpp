#include "work/train/optimizer.h"

#include <cmath>

#include "base/error.h"

namespace crate {

Optimizer::Optimizer(Device& device, ParameterStore& store, const OptimizerRecipe& recipe)
    : device_(device), store_(store), recipe_(recipe) {
  for (const char* kind : {"m/", "v/"}) {
    if (recipe.name == "lion" && kind[0] == 'v') break;
    for (Param& p : store.all()) {
      moments_.push_back({kind + p.name, device.allocate(p.value.shape)});
      set_zero(device, moments_.back().value);
    }
  }
}

Optimizer::~Optimizer() {
  for (Moment& m : moments_) device_.pool().release(m.value.data);
}

double Optimizer::update(double lr, int64_t step) {
  double squares = 0;
  for (Param& p : store_.all()) {
    require(p.has_grad, "[optimizer] parameter {} received no gradient", p.name);
    squares += sum_of_squares(device_, p.grad);
  }
  const double norm = std::sqrt(squares), factor = clip_factor(norm, recipe_.clip);
  std::size_t i = 0;
  const std::size_t n = store_.all().size();
  for (Param& p : store_.all()) {
    const double decay = p.decay ? recipe_.weight_decay : 0;
    const Tensor m = moments_[i].value;
    if (recipe_.name == "lion") {
      lion_step(device_, {p.value, p.grad, m},
                {.lr = lr, .beta1 = recipe_.beta1, .beta2 = recipe_.beta2, .decay = decay, .grad_scale = factor});
    } else {
      adamw_step(device_, {p.value, p.grad, m, moments_[n + i].value},
                 {.lr = lr,
                  .beta1 = recipe_.beta1,
                  .beta2 = recipe_.beta2,
                  .eps = recipe_.eps,
                  .decay = decay,
                  .step = step + 1,
                  .grad_scale = factor});
    }
    ++i;
  }
  store_.values_changed();
  return norm;
}

}  // namespace crate
