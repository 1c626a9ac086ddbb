// Cases of layer_norm.
#include "ops/layer_norm.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> layer_norm_cases() {
  std::vector<OpCase> cases;
  const auto with_shift = [](Run& run, auto in) { return layer_norm(run, in[0], {.scale = in[1], .shift = in[2]}); };
  const auto plain = [](Run& run, auto in) { return layer_norm(run, in[0], {.scale = in[1]}); };
  cases.push_back({.op = "layer_norm",
                   .name = "shift_prime",
                   .inputs = {{"x", {3, 7, 37}}, {"scale", {37}}, {"shift", {37}}},
                   .build = with_shift});
  cases.push_back(
      {.op = "layer_norm", .name = "one_token", .inputs = {{"x", {1, 16}}, {"scale", {16}}}, .build = plain});
  cases.push_back({.op = "layer_norm",
                   .name = "several_chunks",
                   .inputs = {{"x", {131, 19}}, {"scale", {19}}, {"shift", {19}}},
                   .build = with_shift});
  // Far from the origin the mean must leave before the squares are taken; the f32 input itself costs 2^-24 offset.
  cases.push_back({.op = "layer_norm",
                   .name = "far_from_zero",
                   .inputs = {{.name = "x", .shape = {5, 48}, .offset = 30}, {"scale", {48}}},
                   .build = plain});
  cases.push_back({.op = "layer_norm",
                   .name = "large_eps",
                   .inputs = {{"x", {4, 23}}, {"scale", {23}}},
                   .build = [](Run& run, auto in) { return layer_norm(run, in[0], {.scale = in[1], .eps = 0.5}); }});
  cases.push_back({.op = "layer_norm",
                   .name = "frozen_scale",
                   .inputs = {{"x", {4, 23}}, {.name = "scale", .shape = {23}, .grad = false}},
                   .build = plain});
  cases.push_back({.op = "layer_norm",
                   .name = "bench_384",
                   .inputs = {{"x", {8192, 384}}, {"scale", {384}}, {"shift", {384}}},
                   .build = with_shift,
                   .bench_only = true});
  return cases;
}

}  // namespace crate
