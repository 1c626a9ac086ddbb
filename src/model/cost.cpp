#include "model/cost.h"

#include "ops/add_positions.h"
#include "ops/attention.h"
#include "ops/class_loss.h"
#include "ops/cross_entropy.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/ista.h"
#include "ops/ista_wide.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/mlp.h"
#include "ops/patch_loss.h"
#include "ops/patches.h"
#include "ops/pick_tokens.h"
#include "ops/pool_tokens.h"
#include "ops/scale_add.h"
#include "ops/trace.h"

namespace crate {
namespace {

// The walk of the models over their operators, with costs in place of tensors.
class Walk {
 public:
  explicit Walk(bool train) : train_(train) {}
  const ModelCost& sum() const { return sum_; }

  void add(const Cost& forward, double backward_flops, double backward_bytes) {
    sum_.forward += forward;
    sum_.backward += {backward_flops * forward.flops, backward_bytes * forward.bytes};
  }
  void norm(int64_t rows, int64_t d) { add(layer_norm_cost(rows, d), 1.5, 1.5); }
  void product(int64_t rows, int64_t in, int64_t out) { add(linear_cost(rows, in, out), 2, 2); }
  void drop(const ModelConfig& c, int64_t numbers) {
    if (train_ && c.dropout > 0) add(dropout_cost(numbers), 1, 1);
  }

  /// `rows` sequences of n_q new tokens that see n_k.
  struct Span {
    int64_t rows, n_q, n_k;
    bool causal;
    bool cached = false;
    int64_t tokens() const { return rows * n_q; }
  };
  void blocks(const ModelConfig& c, const Span& s) {
    for (int64_t i = 0; i < c.layers; ++i) {
      attention_half(c, s, false);
      second_half(c, s);
    }
  }
  void mirrored_blocks(const ModelConfig& c, const Span& s) {
    for (int64_t i = 0; i < c.layers; ++i) {
      norm(s.tokens(), c.dim);
      product(s.tokens(), c.dim, c.dim);
      attention_half(c, s, true);
    }
  }

 private:
  // How a half joins the stream when that is not part of its last product.
  void join(const ModelConfig& c, const Span& s, bool residual, bool apart) {
    if (!c.layer_scale && c.dropout == 0 && !apart) return;
    drop(c, s.tokens() * c.dim);
    if (residual) add(scale_add_cost(s.tokens(), c.dim), 1.5, 1);
  }
  void attention_half(const ModelConfig& c, const Span& s, bool mirrored) {
    const int64_t width = c.attention_width();
    norm(s.tokens(), c.dim);
    product(s.tokens(), c.dim, is_white_box(c.family) ? width : 3 * width);
    if (is_white_box(c.family) && c.trace) add(trace_cost(s.tokens(), width), 2, 1.5);
    Cost attention = attention_cost(s.rows, s.n_q, s.n_k, width, s.causal);
    const bool kept = s.cached && keeps_keys(c);
    if (is_white_box(c.family) && c.metric)
      attention += metrics_cost(s.rows, s.n_q, kept ? s.n_q : s.n_k, width, c.head_dim());
    if (kept) attention += attention_cost(s.rows, 0, s.n_k, width, false);
    add(attention, 2, 2);
    if (c.attention_output()) product(s.tokens(), width, c.dim);
    join(c, s, true, mirrored || !c.attention_output());
  }
  void second_half(const ModelConfig& c, const Span& s) {
    norm(s.tokens(), c.dim);
    if (has_square_code(c.family))
      add(ista_cost(s.tokens(), c.dim, c.steps()), 2, 2);
    else if (has_wide_code(c.family))
      add(ista_wide_cost(s.tokens(), c.dim, c.n_atoms(), c.steps()), 2, 2);
    else
      add(mlp_cost(s.tokens(), c.dim, c.n_atoms()), 2, 2);
    join(c, s, !is_white_box(c.family) || c.ista_residual, false);
  }

  bool train_;
  ModelCost sum_;
};

void walk_text(Walk& walk, const ModelConfig& c, const Walk::Span& s) {
  walk.add(embedding_cost(s.tokens(), c.dim, c.learned_positions), 1, 1);
  walk.drop(c, s.tokens() * c.dim);
  walk.blocks(c, s);
  if (c.final_norm()) walk.norm(s.tokens(), c.dim);
}

void embed_images(Walk& walk, const ModelConfig& c, int64_t rows) {
  const int64_t n = rows * c.image.patches(), numbers = c.image.patch_numbers();
  walk.add(patches_cost(n * numbers), 1, 1);
  if (c.image.patch_norm) walk.norm(n, numbers);
  walk.product(n, numbers, c.dim);
  if (c.image.patch_norm) walk.norm(n, c.dim);
}

void walk_images(Walk& walk, const ModelConfig& c, int64_t rows) {
  const ImageConfig& image = c.image;
  const Walk::Span all{rows, image.tokens(), image.tokens(), false};
  const bool vit = c.family == Family::vit, cls = image.pooling == Pooling::cls;
  embed_images(walk, c, rows);
  walk.add(add_positions_cost(all.tokens(), c.dim), 1, 1);
  walk.drop(c, all.tokens() * c.dim);
  walk.blocks(c, all);
  if (vit && cls) walk.norm(all.tokens(), c.dim);
  const int64_t read = cls ? 1 : vit ? image.patches() : image.tokens();
  walk.add(pool_tokens_cost(rows, read, c.dim), 1, 1);
  if (!(vit && cls)) walk.norm(rows, c.dim);
  if (image.classes > 0) walk.product(rows, c.dim, image.classes);
}

void walk_autoencoder(Walk& walk, const ModelConfig& c, int64_t rows) {
  const ModelConfig decoder = decoder_of(c);
  const bool mirrored = c.family == Family::crate_mae;
  const int64_t n = c.image.patches(), keep = c.image.kept(n), seen = mirrored ? n + 1 : keep + 1;
  const Walk::Span encoder{rows, seen, seen, false}, all{rows, n + 1, n + 1, false};
  embed_images(walk, c, rows);
  if (mirrored) walk.add(pick_tokens_cost(rows * n, c.dim), 1, 1);
  walk.add(add_positions_cost(all.tokens(), c.dim), 1, 1);
  if (!mirrored) walk.add(pick_tokens_cost(encoder.tokens(), c.dim), 1, 1);
  walk.drop(c, encoder.tokens() * c.dim);
  walk.blocks(c, encoder);
  walk.norm(encoder.tokens(), c.dim);
  if (mirrored) {
    walk.mirrored_blocks(decoder, all);
  } else {
    walk.product(encoder.tokens(), c.dim, decoder.dim);
    walk.add(pick_tokens_cost(all.tokens(), decoder.dim), 1, 1);
    walk.add(add_positions_cost(all.tokens(), decoder.dim), 1, 1);
    walk.blocks(decoder, all);
  }
  walk.norm(all.tokens(), decoder.dim);
  walk.add(pick_tokens_cost(rows * n, decoder.dim), 1, 1);
  walk.product(rows * n, decoder.dim, c.image.patch_numbers());
  walk.add(patches_cost(rows * n * c.image.patch_numbers()), 1, 1);
  walk.add(patch_loss_cost(rows * n * c.image.patch_numbers()), 1, 1);
}

}  // namespace

ModelCost training_cost(const ModelConfig& config, int64_t rows, int64_t n) {
  Walk walk(true);
  if (is_autoencoder(config.family)) {
    walk_autoencoder(walk, config, rows);
  } else if (is_image(config.family)) {
    walk_images(walk, config, rows);
    walk.add(class_loss_cost(rows, config.image.classes), 1, 1);
  } else {
    walk_text(walk, config, {rows, n, n, true});
    const Cost once = cross_entropy_cost(rows * n, config.vocab, config.dim);
    walk.add({3 * once.flops, 3 * once.bytes}, 0, 0);
  }
  return walk.sum();
}

Cost forward_cost(const ModelConfig& config, int64_t rows, int64_t n) {
  Walk walk(false);
  if (is_autoencoder(config.family)) {
    walk_autoencoder(walk, config, rows);
  } else if (is_image(config.family)) {
    walk_images(walk, config, rows);
  } else {
    walk_text(walk, config, {rows, n, n, true});
    walk.product(rows * n, config.dim, config.vocab);
  }
  return walk.sum().forward;
}

bool keeps_keys(const ModelConfig& config) { return is_white_box(config.family) && config.metric && !config.shift; }

Cost decode_cost(const ModelConfig& config, int64_t used) {
  Walk walk(false);
  walk_text(walk, config, {.rows = 1, .n_q = 1, .n_k = used + 1, .causal = true, .cached = true});
  walk.product(1, config.dim, config.vocab);
  return walk.sum().forward;
}

}  // namespace crate
