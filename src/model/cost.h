// cost: the work and the traffic of a whole model, summed from what its operators say of themselves.
#pragma once
#include "model/config.h"
#include "run/cost.h"

namespace crate {

struct ModelCost {
  Cost forward;   // with the head and the loss
  Cost backward;  // besides the forward; the head's part of it is done there in models of text
};

/// One batch of `rows` sequences of n tokens, or of `rows` images of the model's size (n is not read). The same numbers
/// as Run::forward_cost() and backward_cost() of a recorded run, without running anything.
ModelCost training_cost(const ModelConfig& config, int64_t rows, int64_t n);

/// One forward up to the logits of every position or image, nothing recorded. Auto-encoders: up to the loss.
Cost forward_cost(const ModelConfig& config, int64_t rows, int64_t n);

/// Does a cache keep the keys beside the coordinates (TokenCache::keys)? Where a metric makes them, they cost more to
/// make than to read.
bool keeps_keys(const ModelConfig& config);

/// The next token of one sequence with `used` tokens in the cache: all weights are read once, and the cache.
Cost decode_cost(const ModelConfig& config, int64_t used);

}  // namespace crate
