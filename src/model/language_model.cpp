#include "model/language_model.h"

#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/ista.h"
#include "ops/ista_wide.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/mha.h"
#include "ops/mlp.h"
#include "ops/mssa.h"
#include "ops/scale_add.h"

namespace crate {
namespace {

std::string block_name(int64_t i) { return fmt::format("blocks.{}.", i); }

}  // namespace

DecodeState::DecodeState(Device& device, const ModelConfig& config, int64_t batch) : device_(device) {
  const int64_t width = is_white_box(config.family) ? config.dim : 2 * config.dim;
  for (int64_t i = 0; i < config.layers; ++i) caches_.push_back({device.allocate({batch, config.context, width}), 0});
}

DecodeState::~DecodeState() {
  for (TokenCache& cache : caches_) device_.pool().release(cache.rows.data);
}

void DecodeState::clear() {
  for (TokenCache& cache : caches_) cache.used = 0;
}

int64_t DecodeState::bytes_per_token(const ModelConfig& config, Dtype dtype) {
  const int64_t width = is_white_box(config.family) ? config.dim : 2 * config.dim;
  return config.layers * width * static_cast<int64_t>(size_of(dtype));
}

LanguageModel::LanguageModel(Device& device, const ModelConfig& config)
    : device_(device), config_(config), store_(device) {
  config.validate();
  for (const auto& [name, shape] : parameter_shapes(config)) store_.add(name, shape);
}

Tensor LanguageModel::optional(Run& run, const std::string& name) {
  return store_.has(name) ? run.param(store_.at(name)) : Tensor{};
}

Tensor LanguageModel::norm(Run& run, const std::string& name, const Tensor& z) {
  return layer_norm(run, z,
                    {.scale = run.param(store_.at(name + ".scale")),
                     .shift = optional(run, name + ".shift"),
                     .eps = config_.norm_eps});
}

// A learned parameter when the model has it, else the constant of the configuration.
Tensor LanguageModel::step_or_threshold(Run& run, const std::string& name, double fixed) {
  return store_.has(name) ? run.param(store_.at(name)) : run.constant({1}, fixed);
}

Tensor LanguageModel::attention_half(Run& run, int64_t i, const Tensor& z, DecodeState* state) {
  const bool white = is_white_box(config_.family);
  const std::string at = block_name(i) + (white ? "mssa." : "mha.");
  const Site site{at};
  const Tensor x = norm(run, block_name(i) + "norm1", z);
  run.see({block_name(i)}, "norm1.out", x);
  const Tensor coords = linear(
      run, x, {.weight = run.param(store_.at(at + (white ? "u" : "qkv"))), .bias = optional(run, at + "qkv_bias")});
  run.see(site, "coords", coords);
  TokenCache* cache = state ? state->at(i) : nullptr;
  const Tensor temperature = optional(run, at + "temperature");
  const Tensor heads = white ? mssa(run, coords,
                                    {.heads = config_.heads,
                                     .causal = true,
                                     .shift = optional(run, at + "shift"),
                                     .temperature = temperature,
                                     .rotary = config_.rotary,
                                     .rotary_base = config_.rotary_base,
                                     .exclusive = config_.exclusive,
                                     .cache = cache,
                                     .site = site})
                             : mha(run, coords,
                                   {.heads = config_.heads,
                                    .causal = true,
                                    .temperature = temperature,
                                    .rotary = config_.rotary,
                                    .rotary_base = config_.rotary_base,
                                    .cache = cache,
                                    .site = site});
  run.see(site, "heads", heads);
  const Tensor weight = run.param(store_.at(at + "w")), bias = optional(run, at + "w_bias");
  const std::string gamma = block_name(i) + "gamma1";
  const bool apart = config_.dropout > 0 || store_.has(gamma) || run.wants(site, "out");
  if (!apart) return linear(run, heads, {.weight = weight, .bias = bias, .residual = z});
  Tensor out = linear(run, heads, {.weight = weight, .bias = bias});
  out = dropout(run, out, {.p = config_.dropout, .site = static_cast<uint64_t>(2 * i + 1)});
  run.see(site, "out", out);
  const Tensor scale = store_.has(gamma) ? run.param(store_.at(gamma)) : run.constant({config_.dim}, 1.0);
  return scale_add(run, out, scale, z);
}

Tensor LanguageModel::second_half(Run& run, int64_t i, const Tensor& z) {
  const std::string at = block_name(i);
  const Tensor v = norm(run, at + "norm2", z);
  run.see({at}, "norm2.out", v);
  const bool white = is_white_box(config_.family);
  const Site site{at + (white ? "ista." : "mlp.")};
  const bool apart = config_.dropout > 0 || store_.has(at + "gamma2") || run.wants(site, "out");
  const bool residual = white ? config_.ista_residual : true;
  const Tensor fused = residual && !apart ? z : Tensor{};
  Tensor out;
  if (white) {
    const Tensor dict = run.param(store_.at(at + "ista.dict"));
    const Tensor eta = step_or_threshold(run, at + "ista.eta", config_.eta_of(i));
    const Tensor lambda = step_or_threshold(run, at + "ista.lambda", config_.lambda_of(i));
    out = config_.family == Family::crate_gpt ? ista(run, v,
                                                     {.dict = dict,
                                                      .eta = eta,
                                                      .lambda = lambda,
                                                      .steps = config_.steps(),
                                                      .residual = fused,
                                                      .site = site})
                                              : ista_wide(run, v,
                                                          {.dict = dict,
                                                           .dict_out = optional(run, at + "ista.dict_out"),
                                                           .eta = eta,
                                                           .lambda = lambda,
                                                           .steps = config_.steps(),
                                                           .residual = fused,
                                                           .site = site});
  } else {
    out = mlp(run, v,
              {.w_in = run.param(store_.at(at + "mlp.w_in")),
               .b_in = optional(run, at + "mlp.b_in"),
               .w_out = run.param(store_.at(at + "mlp.w_out")),
               .b_out = optional(run, at + "mlp.b_out"),
               .act = config_.family == Family::gpt2 ? Activation::gelu : Activation::relu,
               .residual = fused,
               .site = site});
  }
  if (!apart) return out;
  out = dropout(run, out, {.p = config_.dropout, .site = static_cast<uint64_t>(2 * i + 2)});
  run.see(site, "out", out);
  if (!residual) return out;
  const std::string gamma = at + "gamma2";
  return scale_add(run, out, store_.has(gamma) ? run.param(store_.at(gamma)) : run.constant({config_.dim}, 1.0), z);
}

Tensor LanguageModel::block(Run& run, int64_t i, const Tensor& z, DecodeState* state) {
  const Site site{block_name(i)};
  run.see(site, "z_pre", z);
  const Tensor mid = attention_half(run, i, z, state);
  run.see(site, "z_mid", mid);
  const Tensor post = second_half(run, i, mid);
  run.see(site, "z_post", post);
  return post;
}

Tensor LanguageModel::hidden(Run& run, const Tensor& tokens, DecodeState* state) {
  require(tokens.shape.rank() == 2, "[model] tokens must be (batch, n), came {}", tokens.shape.str());
  const int64_t first = state ? state->length() : 0;
  require(first + tokens.cols() <= config_.context,
          "[model] a sequence of {} tokens is longer than this model's context of {}; shorten it or train with a "
          "longer context",
          first + tokens.cols(), config_.context);
  for (int64_t i = 0; i < tokens.numel(); ++i) {
    const int32_t t = tokens.as<int32_t>()[i];
    require(t >= 0 && t < config_.vocab,
            "[model] token {} lies outside the vocabulary of {}; was another tokenizer used?", t, config_.vocab);
  }
  Tensor z = embedding(run, tokens,
                       {.table = run.param(store_.at("embed.tokens")),
                        .positions = optional(run, "embed.pos"),
                        .first_position = first});
  z = dropout(run, z, {.p = config_.dropout, .site = 0});
  run.see({"embed."}, "out", z);
  for (int64_t i = 0; i < config_.layers; ++i) {
    const auto body = [this, &run, i, state](const Tensor& in) { return block(run, i, in, state); };
    z = recompute_ && !state ? run.recompute(z, body) : body(z);
  }
  if (config_.final_norm()) z = norm(run, "norm", z);
  run.see({"head."}, "in", z);
  return z;
}

Tensor LanguageModel::head(Run& run, const Tensor& hidden) {
  const Tensor logits = linear(run, hidden, {.weight = run.param(head_weight())});
  run.see({"head."}, "logits", logits);
  return logits;
}

Param& LanguageModel::head_weight() { return store_.at(config_.tied_head ? "embed.tokens" : "head.weight"); }

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
