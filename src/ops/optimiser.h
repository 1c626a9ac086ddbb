// optimiser: one update of one parameter, in a single pass over value, gradient and moments. No tape.
#pragma once
#include <cmath>

#include "tensor/device.h"

namespace crate {

/// p -= lr decay p;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
/// p -= lr (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps),  g = grad_scale * grad.
/// Loshchilov, Hutter, "Decoupled weight decay regularization", 2019, in the form of torch.optim.AdamW.
struct AdamW {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double decay = 0;
  int64_t step = 1;       // counts from 1
  double grad_scale = 1;  // e.g. the factor of norm clipping
};

/// c = beta1 m + (1 - beta1) g;  p -= lr (sign(c) + decay p);  m = beta2 m + (1 - beta2) g,  g = grad_scale * grad.
/// Chen et al., "Symbolic discovery of optimization algorithms", 2023.
struct Lion {
  double lr = 1e-4;
  double beta1 = 0.9, beta2 = 0.99;
  double decay = 0;
  double grad_scale = 1;
};

/// All tensors of one shape, in the device's real dtype; value, m and v are updated in place. m and v start at 0.
/// The caller declares weights_changed() once all parameters are updated.
struct AdamWState {
  Tensor value, grad, m, v;
};
struct LionState {
  Tensor value, grad, m;
};

void adamw_step(Device& device, const AdamWState& state, const AdamW& options);
void lion_step(Device& device, const LionState& state, const Lion& options);

/// average = decay average + (1 - decay) value; both of one shape.
struct AverageState {
  Tensor average, value;
};
void average_step(Device& device, const AverageState& state, double decay);

/// Sum of x_i^2 in double, in an order fixed by the size alone.
double sum_of_squares(Device& device, const Tensor& x);
/// x *= factor.
void scale(Device& device, const Tensor& x, double factor);
/// x = 0, e.g. moments before the first step.
void set_zero(Device& device, const Tensor& x);

/// Factor that brings gradients of the given norm down to max_norm: min(1, max_norm / (norm + 1e-6)), as in
/// torch.nn.utils.clip_grad_norm_; 1 when max_norm is 0.
double clip_factor(double norm, double max_norm);

namespace ref {

template <class T> void adamw(const AdamWState& s, const AdamW& o) {
  T *p = s.value.as<T>(), *m = s.m.as<T>(), *v = s.v.as<T>();
  const double correction1 = 1 - std::pow(o.beta1, static_cast<double>(o.step));
  const double correction2 = 1 - std::pow(o.beta2, static_cast<double>(o.step));
  for (int64_t i = 0; i < s.value.numel(); ++i) {
    const T g = o.grad_scale * s.grad.as<T>()[i];
    p[i] -= o.lr * o.decay * p[i];
    m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
    v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
    p[i] -= o.lr * (m[i] / correction1) / (std::sqrt(v[i] / correction2) + o.eps);
  }
}

template <class T> void lion(const LionState& s, const Lion& o) {
  T *p = s.value.as<T>(), *m = s.m.as<T>();
  for (int64_t i = 0; i < s.value.numel(); ++i) {
    const T g = o.grad_scale * s.grad.as<T>()[i], c = o.beta1 * m[i] + (1 - o.beta1) * g;
    const double sign = (re(c) > 0 ? 1.0 : 0.0) - (re(c) < 0 ? 1.0 : 0.0);
    p[i] -= o.lr * (sign + o.decay * p[i]);
    m[i] = o.beta2 * m[i] + (1 - o.beta2) * g;
  }
}

template <class T> void average(const AverageState& s, double decay) {
  for (int64_t i = 0; i < s.value.numel(); ++i)
    s.average.as<T>()[i] = decay * s.average.as<T>()[i] + (1 - decay) * s.value.as<T>()[i];
}

}  // namespace ref

}  // namespace crate
