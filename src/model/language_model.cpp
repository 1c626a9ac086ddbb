#include "model/language_model.h"

#include "model/cost.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/linear.h"

namespace crate {
namespace {

constexpr int64_t worth_parting = 64;  // tokens of a sequence: shorter ones make products of too few rows

// Numbers of a token's row in a layer: w, or its key and value.
int64_t row_width(const ModelConfig& config) {
  return (is_white_box(config.family) ? 1 : 2) * config.attention_width();
}

}  // namespace

DecodeState::DecodeState(Device& device, const ModelConfig& config, int64_t batch) : device_(device) {
  const int64_t width = row_width(config);
  const bool traces = is_white_box(config.family) && config.trace;
  for (int64_t i = 0; i < config.layers; ++i) {
    caches_.push_back({.rows = device.allocate({batch, config.context, width}), .used = 0});
    if (keeps_keys(config))
      caches_.back().keys = device.allocate({batch * config.heads, config.context, config.head_dim()});
    if (traces) caches_.back().newest = device.allocate({batch, width});
  }
}

DecodeState::~DecodeState() {
  for (TokenCache& cache : caches_) {
    device_.pool().release(cache.rows.data);
    if (cache.keys) device_.pool().release(cache.keys.data);
    if (cache.newest) device_.pool().release(cache.newest.data);
  }
}

void DecodeState::clear() {
  for (TokenCache& cache : caches_) cache.used = 0;
}

int64_t DecodeState::bytes_per_token(const ModelConfig& config, Dtype dtype) {
  const int64_t width = row_width(config) + (keeps_keys(config) ? config.attention_width() : 0);
  return config.layers * width * static_cast<int64_t>(size_of(dtype));
}

LanguageModel::LanguageModel(Device& device, const ModelConfig& config)
    : Model(device, config), blocks_(this->config(), store(), "blocks.", true) {
  require(!is_image(config.family), "[model] a {} reads images, not text", name_of(config.family));
}

Tensor LanguageModel::hidden(Run& run, const Tensor& tokens, DecodeState* state) {
  require(tokens.shape.rank() == 2, "[model] tokens must be (batch, n), came {}", tokens.shape.str());
  const ModelConfig& config = this->config();
  const int64_t first = state ? state->length() : 0;
  require(first + tokens.cols() <= config.context,
          "[model] a sequence of {} tokens is longer than this model's context of {}; shorten it or train with a "
          "longer context",
          first + tokens.cols(), config.context);
  for (int64_t i = 0; i < tokens.numel(); ++i) {
    const int32_t t = tokens.as<int32_t>()[i];
    require(t >= 0 && t < config.vocab,
            "[model] token {} lies outside the vocabulary of {}; was another tokenizer used?", t, config.vocab);
  }
  if (!state && run.may_part(tokens.rows()) && tokens.cols() >= worth_parting) {
    return run.each_apart(tokens, {tokens.rows(), tokens.cols(), config.dim},
                          [this](Run& own, const Tensor& one) { return hidden(own, one); });
  }
  Tensor z = embedding(run, tokens,
                       {.table = run.param(store().at("embed.tokens")),
                        .positions = blocks_.optional(run, "embed.pos"),
                        .first_position = first});
  z = dropout(run, z, {.p = config.dropout, .site = 0});
  run.see({"embed."}, "out", z);
  for (int64_t i = 0; i < config.layers; ++i) {
    const auto body = [this, &run, i, state](const Tensor& in) {
      return blocks_.block(run, i, in, state ? state->at(i) : nullptr);
    };
    z = next(run, z, body);
  }
  if (config.final_norm()) z = blocks_.norm(run, "norm", z, config.last_norm_eps());
  run.see({"head."}, "in", z);
  return z;
}

Tensor LanguageModel::head(Run& run, const Tensor& hidden) {
  const Tensor logits = linear(run, hidden, {.weight = run.param(head_weight())});
  run.see({"head."}, "logits", logits);
  return logits;
}

Param& LanguageModel::head_weight() { return store().at(config().tied_head ? "embed.tokens" : "head.weight"); }

Tensor LanguageModel::logits(Run& run, const Tensor& tokens, DecodeState* state) {
  return head(run, hidden(run, tokens, state));
}

CrossEntropy LanguageModel::loss(Run& run, const Tensor& tokens, const Tensor& targets, double weight) {
  require(targets.shape == tokens.shape, "[model] targets must be {} like the tokens, came {}", tokens.shape.str(),
          targets.shape.str());
  const Tensor z = hidden(run, tokens);
  return cross_entropy(run, z, {.head = run.param(head_weight()), .targets = targets, .weight = weight});
}

}  // namespace crate
