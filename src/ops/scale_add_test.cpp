// Cases of scale_add.
#include "ops/scale_add.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> scale_add_cases() {
  std::vector<OpCase> cases;
  const auto build = [](Run& run, auto in) { return scale_add(run, in[0], in[1], in[2]); };
  cases.push_back({.op = "scale_add",
                   .name = "prime",
                   .inputs = {{"x", {2, 67, 13}}, {"gamma", {13}}, {"residual", {2, 67, 13}}},
                   .build = build});
  cases.push_back({.op = "scale_add",
                   .name = "one_token",
                   .inputs = {{"x", {1, 40}}, {"gamma", {40}}, {"residual", {1, 40}}},
                   .build = build});
  cases.push_back({.op = "scale_add",
                   .name = "residual_is_x",
                   .inputs = {{"x", {5, 8}}, {"gamma", {8}}},
                   .build = [](Run& run, auto in) { return scale_add(run, in[0], in[1], in[0]); }});
  cases.push_back({.op = "scale_add",
                   .name = "bench_384",
                   .inputs = {{"x", {8192, 384}}, {"gamma", {384}}, {"residual", {8192, 384}}},
                   .build = build,
                   .bench_only = true});
  return cases;
}

}  // namespace crate
