#include "model/cost.h"

#include "ops/attention.h"
#include "ops/cross_entropy.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/ista.h"
#include "ops/ista_wide.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/mlp.h"
#include "ops/scale_add.h"

namespace crate {
namespace {

// The walk of LanguageModel over its operators, with costs in place of tensors.
class Walk {
 public:
  /// rows sequences of n_q new tokens that see n_k; `train`: dropout is active.
  Walk(const ModelConfig& config, int64_t rows, int64_t n_q, int64_t n_k, bool train)
      : c_(config), rows_(rows), n_q_(n_q), n_k_(n_k), tokens_(rows * n_q), train_(train && config.dropout > 0) {
    add(embedding_cost(tokens_, c_.dim, c_.learned_positions), 1, 1);
    drop();
    for (int64_t i = 0; i < c_.layers; ++i) {
      attention_half();
      second_half();
    }
    if (c_.final_norm()) norm();
  }

  void logits() { add(linear_cost(tokens_, c_.dim, c_.vocab), 2, 2); }
  void loss() {
    const Cost once = cross_entropy_cost(tokens_, c_.vocab, c_.dim);
    add({3 * once.flops, 3 * once.bytes}, 0, 0);
  }
  const ModelCost& sum() const { return sum_; }

 private:
  void add(const Cost& forward, double backward_flops, double backward_bytes) {
    sum_.forward += forward;
    sum_.backward += {backward_flops * forward.flops, backward_bytes * forward.bytes};
  }
  void norm() { add(layer_norm_cost(tokens_, c_.dim), 1.5, 1.5); }
  void drop() {
    if (train_) add(dropout_cost(tokens_ * c_.dim), 1, 1);
  }
  // How a half joins the stream when that is not part of its last product.
  void join(bool residual) {
    if (!c_.layer_scale && c_.dropout == 0) return;
    drop();
    if (residual) add(scale_add_cost(tokens_, c_.dim), 1.5, 1);
  }
  void attention_half() {
    norm();
    add(linear_cost(tokens_, c_.dim, is_white_box(c_.family) ? c_.dim : 3 * c_.dim), 2, 2);
    add(attention_cost(rows_, n_q_, n_k_, c_.dim, true), 2, 2);
    add(linear_cost(tokens_, c_.dim, c_.dim), 2, 2);
    join(true);
  }
  void second_half() {
    norm();
    if (c_.family == Family::crate_gpt)
      add(ista_cost(tokens_, c_.dim, c_.steps()), 2, 2);
    else if (c_.family == Family::crate_lm)
      add(ista_wide_cost(tokens_, c_.dim, c_.n_atoms(), c_.steps()), 2, 2);
    else
      add(mlp_cost(tokens_, c_.dim, c_.n_atoms()), 2, 2);
    join(!is_white_box(c_.family) || c_.ista_residual);
  }

  const ModelConfig& c_;
  int64_t rows_, n_q_, n_k_, tokens_;
  bool train_;
  ModelCost sum_;
};

}  // namespace

ModelCost training_cost(const ModelConfig& config, int64_t rows, int64_t n) {
  Walk walk(config, rows, n, n, true);
  walk.loss();
  return walk.sum();
}

Cost forward_cost(const ModelConfig& config, int64_t rows, int64_t n) {
  Walk walk(config, rows, n, n, false);
  walk.logits();
  return walk.sum().forward;
}

Cost decode_cost(const ModelConfig& config, int64_t used) {
  Walk walk(config, 1, 1, used + 1, false);
  walk.logits();
  return walk.sum().forward;
}

}  // namespace crate
