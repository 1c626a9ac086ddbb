// class_loss: softmax cross-entropy against soft targets (label smoothing, mixup, cutmix). Logits l and targets t
// (b, classes); the loss of an image is sum_j t_j (log sum_k exp(l_k) - l_j), the loss of the batch the mean over
// images. Targets that add up to one make it the usual cross-entropy.
//
// backward: d_l = d_loss weight / b (T softmax(l) - t),  T = sum_j t_j. Targets carry no gradient.
#pragma once
#include <cmath>
#include <vector>

#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct ClassLossArgs {
  Tensor targets;
  double weight = 1;  // factor on the gradient, e.g. 1 / number of micro-batches; not on the loss
};

struct ClassLoss {
  Tensor loss;        // (1): mean nats over the images
  Tensor image_loss;  // (b); carries no gradient
  Tensor logits;      // (b, classes)
};

/// Throws Error when the shapes do not fit.
ClassLoss class_loss(Run& run, const Tensor& logits, const ClassLossArgs& args);

Cost class_loss_cost(int64_t batch, int64_t classes);

/// One call as its kernels see it.
struct ClassLossCall {
  Tensor logits, targets, loss, image_loss;
  double weight;
};

namespace ref {

template <class T> T log_sum_exp(const T* l, int64_t n) {
  double top = re(l[0]);
  for (int64_t j = 1; j < n; ++j) top = std::max(top, re(l[j]));
  T sum = 0;
  for (int64_t j = 0; j < n; ++j) sum += std::exp(l[j] - top);
  return std::log(sum) + top;
}

template <class T> void class_loss(const ClassLossCall& c) {
  const int64_t n = c.logits.cols(), b = c.logits.rows();
  T& loss = *c.loss.as<T>() = 0;
  for (int64_t i = 0; i < b; ++i) {
    const T *l = c.logits.as<T>() + i * n, *t = c.targets.as<T>() + i * n, top = log_sum_exp(l, n);
    T& own = c.image_loss.as<T>()[i] = 0;
    for (int64_t j = 0; j < n; ++j) own += t[j] * (top - l[j]);
    loss += own / static_cast<double>(b);
  }
}

template <class T> void class_loss_backward(const ClassLossCall& c, const Tensor& d_loss, const GradTo& to) {
  const int64_t n = c.logits.cols(), b = c.logits.rows();
  const T factor = *d_loss.as<T>() * (c.weight / static_cast<double>(b));
  T* d_logits = opened<T>(to);
  for (int64_t i = 0; i < b; ++i) {
    const T *l = c.logits.as<T>() + i * n, *t = c.targets.as<T>() + i * n, top = log_sum_exp(l, n);
    T all = 0;
    for (int64_t j = 0; j < n; ++j) all += t[j];
    for (int64_t j = 0; j < n; ++j) d_logits[i * n + j] += factor * (all * std::exp(l[j] - top) - t[j]);
  }
}

}  // namespace ref

}  // namespace crate
