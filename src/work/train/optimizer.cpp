#include "work/train/optimizer.h"

#include <cmath>

#include "base/error.h"
#include "ops/muon.h"

namespace crate {
namespace {

bool is_block_matrix(const Param& p) {
  return p.value.shape.rank() == 2 && p.name.find("blocks.") != std::string::npos;
}

// Query, key and value of the twin lie in one matrix and are three maps; each head has a metric of its own.
int64_t maps_in(const Param& p) {
  if (p.name.ends_with(".metric_q") || p.name.ends_with(".metric_k")) return p.value.rows() / p.value.cols();
  return p.name.ends_with(".qkv") ? 3 : 1;
}

}  // namespace

Optimizer::Optimizer(Device& device, const std::vector<ParameterStore*>& stores, const OptimizerRecipe& recipe,
                     const std::function<bool(const Param&)>& fixed)
    : device_(device), stores_(stores), recipe_(recipe) {
  for (ParameterStore* store : stores) {
    for (Param& p : store->all()) {
      if (fixed && fixed(p)) continue;
      params_.push_back(&p);
      Rule rule;
      rule.kind = recipe.name == "lion"                         ? Rule::lion
                  : recipe.name == "muon" && is_block_matrix(p) ? Rule::muon
                                                                : Rule::adamw;
      rule.m = add_moment("m/", p);
      if (rule.kind == Rule::adamw) rule.v = add_moment("v/", p);
      rules_.push_back(rule);
    }
  }
}

Tensor Optimizer::add_moment(const char* kind, const Param& p) {
  moments_.push_back({kind + p.name, device_.allocate(p.value.shape)});
  set_zero(device_, moments_.back().value);
  return moments_.back().value;
}

Optimizer::~Optimizer() {
  for (Moment& m : moments_) device_.pool().release(m.value.data);
}

void Optimizer::update_one(const Param& p, const Rule& rule, double lr, double decay, double grad_scale, int64_t step) {
  switch (rule.kind) {
    case Rule::lion:
      lion_step(device_, {p.value, p.grad, rule.m},
                {.lr = lr, .beta1 = recipe_.beta1, .beta2 = recipe_.beta2, .decay = decay, .grad_scale = grad_scale});
      break;
    case Rule::muon:
      muon_step(device_, {p.value, p.grad, rule.m},
                {.lr = lr, .beta = recipe_.momentum, .decay = decay, .parts = maps_in(p), .grad_scale = grad_scale});
      break;
    case Rule::adamw:
      adamw_step(device_, {p.value, p.grad, rule.m, rule.v},
                 {.lr = lr,
                  .beta1 = recipe_.beta1,
                  .beta2 = recipe_.beta2,
                  .eps = recipe_.eps,
                  .decay = decay,
                  .step = step + 1,
                  .grad_scale = grad_scale});
      break;
  }
}

double Optimizer::update(double lr, double weight_decay, int64_t step) {
  double squares = 0;
  for (const Param* p : params_) {
    require(p->has_grad, "[optimizer] parameter {} received no gradient", p->name);
    squares += sum_of_squares(device_, p->grad);
  }
  const double norm = std::sqrt(squares), factor = clip_factor(norm, recipe_.clip);
  for (std::size_t i = 0; i < params_.size(); ++i)
    update_one(*params_[i], rules_[i], lr, params_[i]->decay ? weight_decay : 0, factor, step);
  for (ParameterStore* store : stores_) store->values_changed();
  return norm;
}

}  // namespace crate
