#include "model/blocks.h"

#include "ops/dropout.h"
#include "ops/ista.h"
#include "ops/ista_wide.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/mha.h"
#include "ops/mlp.h"
#include "ops/mssa.h"
#include "ops/scale_add.h"
#include "ops/trace.h"

namespace crate {

Tensor Blocks::optional(Run& run, const std::string& name) const {
  return store_.has(name) ? run.param(store_.at(name)) : Tensor{};
}

Tensor Blocks::norm(Run& run, const std::string& name, const Tensor& z, double eps, bool operand) const {
  return layer_norm(run, z,
                    {.scale = run.param(store_.at(name + ".scale")),
                     .shift = optional(run, name + ".shift"),
                     .eps = eps,
                     .operand = operand});
}

// A learned parameter when the model has it, else the constant of the configuration.
Tensor Blocks::step_or_threshold(Run& run, const std::string& name, double fixed) const {
  return store_.has(name) ? run.param(store_.at(name)) : run.constant({1}, fixed);
}

Tensor Blocks::heads(Run& run, const std::string& at, const Tensor& coords, TokenCache* cache) const {
  const Tensor temperature = optional(run, at + "temperature");
  if (is_white_box(config_.family)) {
    return mssa(run, coords,
                {.heads = config_.heads,
                 .causal = causal_,
                 .shift = optional(run, at + "shift"),
                 .temperature = temperature,
                 .direction = optional(run, at + "direction"),
                 .metric_q = optional(run, at + "metric_q"),
                 .metric_k = optional(run, at + "metric_k"),
                 .rotary = config_.rotary,
                 .rotary_base = config_.rotary_base,
                 .relay = config_.relay,
                 .exclusive = config_.exclusive,
                 .cache = cache,
                 .operand = config_.attention_output(),
                 .site = {at}});
  }
  return mha(run, coords,
             {.heads = config_.heads,
              .causal = causal_,
              .temperature = temperature,
              .rotary = config_.rotary,
              .rotary_base = config_.rotary_base,
              .cache = cache,
              .operand = config_.attention_output(),
              .site = {at}});
}

Tensor Blocks::attention_half(Run& run, int64_t i, const Tensor& z, TokenCache* cache, const Join& join) const {
  const bool white = is_white_box(config_.family);
  const std::string at = name(i) + (white ? "mssa." : "mha.");
  const Site site{at};
  const Tensor x = norm(run, name(i) + join.norm, z, config_.norm_eps, true);
  run.see({name(i) + join.norm + "."}, "out", x);
  const Tensor share = optional(run, at + "trace");
  Tensor coords = linear(run, x,
                         {.weight = run.param(store_.at(at + (white ? "u" : "qkv"))),
                          .bias = optional(run, at + "qkv_bias"),
                          .operand = !share});
  if (share) coords = trace(run, coords, {.share = share, .cache = cache, .operand = true});
  run.see(site, "coords", coords);
  const Tensor sums = heads(run, at, coords, cache);
  run.see(site, "heads", sums);
  const std::string gamma = name(i) + "gamma1";
  const bool product = config_.attention_output();
  const bool apart = !product || join.sign != 1 || config_.dropout > 0 || store_.has(gamma) || run.wants(site, "out");
  const Tensor weight = product ? run.param(store_.at(at + "w")) : Tensor{}, bias = optional(run, at + "w_bias");
  if (!apart) return linear(run, sums, {.weight = weight, .bias = bias, .residual = z});
  Tensor out = product ? linear(run, sums, {.weight = weight, .bias = bias}) : sums;
  out = dropout(run, out, {.p = config_.dropout, .site = static_cast<uint64_t>(2 * i + 1)});
  run.see(site, "out", out);
  const Tensor scale = store_.has(gamma) ? run.param(store_.at(gamma)) : run.constant({config_.dim}, join.sign);
  return scale_add(run, out, scale, z);
}

// ista, ista_wide or mlp on v, plus the residual unless it is empty.
Tensor Blocks::transform(Run& run, int64_t i, const Tensor& v, const Tensor& residual) const {
  const std::string at = name(i);
  if (!is_white_box(config_.family)) {
    return mlp(run, v,
               {.w_in = run.param(store_.at(at + "mlp.w_in")),
                .b_in = optional(run, at + "mlp.b_in"),
                .w_out = run.param(store_.at(at + "mlp.w_out")),
                .b_out = optional(run, at + "mlp.b_out"),
                .act = config_.relu_units() ? Activation::relu : Activation::gelu,
                .residual = residual,
                .site = {at + "mlp."}});
  }
  const Site site{at + "ista."};
  const Tensor dict = run.param(store_.at(at + "ista.dict"));
  const Tensor eta = step_or_threshold(run, at + "ista.eta", config_.eta_of(i));
  const Tensor lambda = step_or_threshold(run, at + "ista.lambda", config_.lambda_of(i));
  if (has_square_code(config_.family)) {
    return ista(
        run, v,
        {.dict = dict, .eta = eta, .lambda = lambda, .steps = config_.steps(), .residual = residual, .site = site});
  }
  return ista_wide(run, v,
                   {.dict = dict,
                    .dict_out = optional(run, at + "ista.dict_out"),
                    .eta = eta,
                    .lambda = lambda,
                    .steps = config_.steps(),
                    .residual = residual,
                    .site = site});
}

Tensor Blocks::second_half(Run& run, int64_t i, const Tensor& z) const {
  const std::string at = name(i);
  const Tensor v = norm(run, at + "norm2", z, config_.norm_eps, true);
  run.see({at}, "norm2.out", v);
  const bool white = is_white_box(config_.family);
  const Site site{at + (white ? "ista." : "mlp.")};
  const bool apart = config_.dropout > 0 || store_.has(at + "gamma2") || run.wants(site, "out");
  const bool residual = white ? config_.ista_residual : true;
  Tensor out = transform(run, i, v, residual && !apart ? z : Tensor{});
  if (!apart) return out;
  out = dropout(run, out, {.p = config_.dropout, .site = static_cast<uint64_t>(2 * i + 2)});
  run.see(site, "out", out);
  if (!residual) return out;
  const std::string gamma = at + "gamma2";
  return scale_add(run, out, store_.has(gamma) ? run.param(store_.at(gamma)) : run.constant({config_.dim}, 1.0), z);
}

Tensor Blocks::block(Run& run, int64_t i, const Tensor& z, TokenCache* cache) const {
  const Site site{name(i)};
  run.see(site, "z_pre", z);
  const Tensor mid = attention_half(run, i, z, cache, {});
  run.see(site, "z_mid", mid);
  const Tensor post = run.pass_on(mid, [&](const Tensor& in) { return second_half(run, i, in); });
  run.see(site, "z_post", post);
  return post;
}

Tensor Blocks::mirrored_block(Run& run, int64_t i, const Tensor& z) const {
  const Site site{name(i)};
  run.see(site, "z_pre", z);
  const Tensor x = norm(run, name(i) + "norm1", z, config_.norm_eps, true);
  run.see(site, "norm1.out", x);
  const Tensor mid = linear(run, x, {.weight = run.param(store_.at(name(i) + "linear"))});
  run.see(site, "linear.out", mid);
  run.see(site, "z_mid", mid);
  const Tensor post = attention_half(run, i, mid, nullptr, {.norm = "norm2", .sign = -1});
  run.see(site, "z_post", post);
  return post;
}

}  // namespace crate
