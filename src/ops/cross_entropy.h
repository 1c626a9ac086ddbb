// cross_entropy: the head and the loss in one. Logits l = head h; the loss of a token is log sum_j exp(l_j) - l_target,
// the loss of the batch its mean over the counted tokens. h (.., d), head (V, d), targets i32 (..), -1 = not counted.
//
// Logits only exist for a chunk of tokens at a time. While the run records, each chunk also computes its gradients:
//   p = weight / counted * (softmax(l) - [j = target])      d_h = p head      d_head = sum over tokens of p' h
// straight into the gradient slots of h and head, so the loss must enter the backward walk with gradient 1; any other
// factor belongs into `weight`.
#pragma once
#include <cmath>
#include <vector>

#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct CrossEntropyArgs {
  Tensor head;
  Tensor targets;
  double weight = 1;  // factor on the gradient, e.g. 1 / number of micro-batches; not on the loss
};

struct CrossEntropy {
  Tensor loss;        // (1): mean nats over the counted tokens; 0 when none is counted
  Tensor token_loss;  // shape of targets: nats, 0 where not counted; carries no gradient
};

/// Throws Error when a target lies outside [-1, V) or the shapes do not fit.
CrossEntropy cross_entropy(Run& run, const Tensor& h, const CrossEntropyArgs& args);

/// 2 rows V d operations; the gradients twice that, done in the forward.
Cost cross_entropy_cost(int64_t rows, int64_t vocab, int64_t d);

/// One call as its kernels see it. The gradients are empty unless the run records.
struct CrossEntropyCall {
  Tensor h, head, targets, loss, token_loss;
  int64_t counted;  // targets that are not -1
  double weight;
  GradTo d_h, d_head;
};

namespace ref {

template <class T> void cross_entropy(const CrossEntropyCall& c) {
  const int64_t d = c.h.cols(), vocab = c.head.rows();
  const T *head = c.head.as<T>(), *h = c.h.as<T>();
  T *d_h = opened<T>(c.d_h), *d_head = opened<T>(c.d_head), *loss = c.loss.as<T>();
  *loss = 0;
  for (int64_t i = 0; i < c.h.rows(); ++i, h += d) {
    const int32_t target = c.targets.as<int32_t>()[i];
    T& token_loss = c.token_loss.as<T>()[i] = 0;
    if (target < 0) continue;
    std::vector<T> p(vocab);
    for (int64_t t = 0; t < vocab; ++t)
      for (int64_t j = 0; j < d; ++j) p[t] += head[t * d + j] * h[j];
    const T logit = p[target];
    double largest = re(p[0]);
    for (const T& l : p) largest = std::max(largest, re(l));
    T sum = 0;
    for (T& l : p) sum += l = std::exp(l - largest);
    token_loss = std::log(sum) + largest - logit;
    *loss += token_loss / static_cast<double>(c.counted);
    for (int64_t t = 0; t < vocab; ++t) {
      const T d_logit = (p[t] / sum - (t == target ? 1.0 : 0.0)) * (c.weight / static_cast<double>(c.counted));
      for (int64_t j = 0; j < d; ++j) {
        if (d_h) d_h[i * d + j] += d_logit * head[t * d + j];
        if (d_head) d_head[t * d + j] += d_logit * h[j];
      }
    }
  }
}

}  // namespace ref

}  // namespace crate
