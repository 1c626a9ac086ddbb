// Cases of mssa: every option alone and all together, causal and not, odd shapes.
#include "ops/mssa.h"

#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "testing/cases.h"

namespace crate {
namespace {

struct Options {
  bool causal = true, norm = false, shift = false, metric = false, direction = false, rotary = false, relay = false,
       exclusive = false;
};

OpCase make_case(const char* name, Shape w, int64_t heads, Options on, bool bench = false) {
  // The learned temperature is around 1 + noise, shift around 0: as in training. Sums have at most a few hundred terms,
  // 2^-24 each; the exclusion subtracts nearly equal rows (with few tokens y is close to w), which costs one more
  // digit.
  OpCase c{.op = "mssa", .name = name, .inputs = {{"w", w}}, .build = {}};
  c.inputs.push_back({"temperature", {heads}, 0.2, 1.5});
  c.inputs.push_back({"shift", {w.cols()}, 0.5});
  c.inputs.push_back({"direction", {w.cols()}, 0.5});
  c.inputs.push_back({"metric_q", {w.cols(), w.cols() / heads}, 0.5});
  c.inputs.push_back({"metric_k", {w.cols(), w.cols() / heads}, 0.5});
  c.build = [heads, on](Run& run, std::span<const Tensor> in) {
    return mssa(run, in[0],
                {.heads = heads,
                 .causal = on.causal,
                 .shift = on.shift ? in[2] : Tensor{},
                 .temperature = on.norm ? in[1] : Tensor{},
                 .direction = on.direction ? in[3] : Tensor{},
                 .metric_q = on.metric ? in[4] : Tensor{},
                 .metric_k = on.metric ? in[5] : Tensor{},
                 .rotary = on.rotary,
                 .relay = on.relay,
                 .exclusive = on.exclusive});
  };
  c.inputs[1].grad = on.norm;
  c.inputs[2].grad = on.shift;
  c.inputs[3].grad = on.direction;
  c.inputs[4].grad = c.inputs[5].grad = on.metric;
  c.tolerance = on.exclusive ? 1e-4 : 2e-5;
  c.bf16_tolerance = on.exclusive ? 6e-2 : on.metric ? 2e-2 : 1e-2;  // a metric is one product more
  c.bench_only = bench;
  return c;
}

/// As in a block: what lies between two products is kept as they read it.
OpCase between_products(const char* name, MssaArgs args) {
  OpCase c{.op = "mssa",
           .name = name,
           .inputs = {{"x", {2, 37, 16}}, {"scale", {16}, 0.2, 1.0}, {"u", {24, 16}, 0.3}, {"w", {16, 24}, 0.3}},
           .build = {}};
  c.build = [args](Run& run, std::span<const Tensor> in) {
    const Tensor normed = layer_norm(run, in[0], {.scale = in[1], .operand = true});
    const Tensor coords = linear(run, normed, {.weight = in[2], .operand = true});
    return linear(run, mssa(run, coords, args), {.weight = in[3], .residual = in[0]});
  };
  c.bf16_tolerance = 1.5e-2;  // three products one after the other
  return c;
}

/// Seen both ways, with tokens whose norms are `size` times those of the other cases: with a head of 24 scores reach 5,
/// 40 and 300, and lie 5, 40 and 300 apart. The rounding of a score is that of its size.
OpCase spread_case(const char* name, double size, double tolerance) {
  OpCase c = make_case(name, {1, 110, 48}, 2, {.causal = false});
  c.inputs[0].scale = size;
  c.tolerance = tolerance;
  // Rounded by 2^-9 each, scores that reach 300 say little of their small differences, which gradients are.
  c.bf16_tolerance = size < 2 ? 1e-2 : size < 4 ? 4e-2 : 0;
  return c;
}

}  // namespace

std::vector<OpCase> mssa_cases() {
  const Options all{
      .norm = true, .shift = true, .metric = true, .direction = true, .rotary = true, .relay = true, .exclusive = true};
  Options all_seen = all;
  all_seen.causal = false;
  return {
      make_case("causal", {2, 13, 36}, 3, {}),
      make_case("seen_both_ways", {2, 13, 36}, 3, {.causal = false}),
      between_products("causal_between_products", {.heads = 4, .causal = true, .operand = true}),
      between_products("both_ways_between_products", {.heads = 2, .operand = true}),
      between_products("relay_between_products", {.heads = 4, .causal = true, .relay = true, .operand = true}),
      between_products("rotary_between_products", {.heads = 2, .causal = true, .rotary = true, .operand = true}),
      make_case("one_token", {3, 1, 8}, 2, {}),
      make_case("two_tokens", {1, 2, 10}, 1, {}),
      make_case("long_prime_head_17", {1, 101, 17}, 1, {}),
      make_case("head_of_one", {1, 7, 3}, 3, {.causal = false}),
      make_case("norm", {2, 11, 24}, 2, {.norm = true}),
      make_case("norm_seen_both_ways", {2, 11, 24}, 2, {.causal = false, .norm = true}),
      make_case("norm_rotary_exclusive_seen_both_ways", {1, 103, 24}, 2,
                {.causal = false, .norm = true, .rotary = true, .exclusive = true}),
      spread_case("norms_near_seen_both_ways", 1.0, 2e-5),
      spread_case("norms_apart_seen_both_ways", 2.8, 2e-5),
      spread_case("norms_far_apart_seen_both_ways", 8.0, 1e-4),
      make_case("shift", {2, 11, 24}, 2, {.shift = true}),
      make_case("metric", {2, 11, 24}, 2, {.metric = true}),
      make_case("metric_head_35_seen_both_ways", {1, 9, 35}, 1, {.causal = false, .metric = true}),
      make_case("metric_head_67", {1, 9, 67}, 1, {.norm = true, .metric = true}),
      make_case("relay", {2, 11, 36}, 3, {.relay = true}),
      make_case("relay_of_one_head", {2, 11, 12}, 1, {.relay = true}),
      make_case("relay_exclusive_seen_both_ways", {2, 41, 36}, 3, {.causal = false, .relay = true, .exclusive = true}),
      make_case("direction", {2, 11, 24}, 2, {.direction = true}),
      make_case("direction_head_40_seen_both_ways", {1, 9, 40}, 1, {.causal = false, .direction = true}),
      make_case("rotary", {2, 11, 24}, 2, {.rotary = true}),
      make_case("rotary_seen_both_ways", {1, 71, 20}, 2, {.causal = false, .rotary = true}),
      make_case("exclusive", {2, 11, 24}, 2, {.exclusive = true}),
      make_case("all_options", {2, 23, 40}, 2, all),
      make_case("all_options_seen_both_ways", {2, 23, 40}, 2, all_seen),
      make_case("all_options_head_34", {1, 37, 34}, 1, all),
      make_case("all_options_one_token", {2, 1, 12}, 3, {.norm = true, .shift = true, .rotary = true}),
      make_case("bench_384", {32, 256, 384}, 6, {}, true),
      make_case("bench_384_all_options", {32, 256, 384}, 6, all, true),
      make_case("bench_384_seen_both_ways", {32, 256, 384}, 6, {.causal = false}, true),
      make_case("bench_384_norm_seen_both_ways", {32, 256, 384}, 6, {.causal = false, .norm = true}, true),
      make_case("bench_197_head_48", {16, 197, 384}, 8, {.causal = false}, true),
      make_case("bench_197_head_64", {16, 197, 384}, 6, {.causal = false}, true),
      make_case("bench_512_head_48", {4, 512, 384}, 8, {.causal = false}, true),
      make_case("bench_512_head_64", {4, 512, 384}, 6, {.causal = false}, true),
      make_case("bench_1024_head_48", {2, 1024, 384}, 8, {.causal = false}, true),
      make_case("bench_1024_head_64", {2, 1024, 384}, 6, {.causal = false}, true),
      make_case("bench_4096_head_48", {1, 4096, 384}, 8, {.causal = false}, true),
      make_case("bench_4096_head_64", {1, 4096, 384}, 6, {.causal = false}, true),
  };
}

}  // namespace crate
