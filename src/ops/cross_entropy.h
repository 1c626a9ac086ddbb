// cross_entropy: the head and the loss in one. Logits l = head h; the loss of a token is log sum_j exp(l_j) - l_target,
// the loss of the batch its mean over the counted tokens. h (.., d), head (V, d), targets i32 (..), -1 = not counted.
//
// Logits only exist for a chunk of tokens at a time. While the run records, each chunk also computes its gradients:
//   p = weight / counted * (softmax(l) - [j = target])      d_h = p head      d_head = sum over tokens of p' h
// straight into the gradient slots of h and head, so the loss must enter the backward walk with gradient 1; any other
// factor belongs into `weight`.
#pragma once
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

}  // namespace crate
