// Cases of mlp.
#include "ops/mlp.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> mlp_cases() {
  std::vector<OpCase> cases;
  const auto plain = [](Activation act) {
    return [act](Run& run, auto in) { return mlp(run, in[0], {.w_in = in[1], .w_out = in[2], .act = act}); };
  };
  const auto full = [](Activation act) {
    return [act](Run& run, auto in) {
      return mlp(run, in[0],
                 {.w_in = in[1], .b_in = in[2], .w_out = in[3], .b_out = in[4], .act = act, .residual = in[5]});
    };
  };
  const auto full_inputs = [](int64_t rows, int64_t d, int64_t m, double scale) -> std::vector<OpInput> {
    return {{"x", {rows, d}},         {"w_in", {m, d}, scale}, {"b_in", {m}},
            {"w_out", {d, m}, scale}, {"b_out", {d}},          {"residual", {rows, d}}};
  };
  const auto add = [&cases](const char* name, std::vector<OpInput> inputs, auto build, bool bench_only = false) {
    cases.push_back(
        {.op = "mlp", .name = name, .inputs = std::move(inputs), .build = std::move(build), .bench_only = bench_only});
  };
  add("gelu_plain", {{"x", {3, 5, 13}}, {"w_in", {29, 13}}, {"w_out", {13, 29}}}, plain(Activation::gelu));
  add("relu_plain", {{"x", {3, 5, 13}}, {"w_in", {29, 13}}, {"w_out", {13, 29}}}, plain(Activation::relu));
  add("gelu_one_token", {{"x", {1, 8}}, {"w_in", {32, 8}}, {"w_out", {8, 32}}}, plain(Activation::gelu));
  add("relu_one_token", {{"x", {1, 8}}, {"w_in", {32, 8}}, {"w_out", {8, 32}}}, plain(Activation::relu));
  add("gelu_all_options", full_inputs(259, 7, 17, 0.3), full(Activation::gelu));
  add("relu_all_options", full_inputs(259, 7, 17, 0.3), full(Activation::relu));
  add("gelu_wide_range", {{"x", {37, 3}, 4.0}, {"w_in", {19, 3}}, {"w_out", {3, 19}}}, plain(Activation::gelu));
  add("gelu_frozen_weights",
      {{"x", {5, 6}},
       {.name = "w_in", .shape = {9, 6}, .grad = false},
       {.name = "w_out", .shape = {6, 9}, .grad = false}},
      plain(Activation::gelu));
  add("bench_gelu_384_1536", full_inputs(8192, 384, 1536, 0.05), full(Activation::gelu), true);
  add("bench_relu_384_1536", full_inputs(8192, 384, 1536, 0.05), full(Activation::relu), true);
  // Rounding turns a gate where the last argument of the relu is nearly 0: a share f of turned gates errs by sqrt f,
  // and of cases this small one gate is a large share.
  for (OpCase& c : cases) c.bf16_tolerance = 5e-2;
  return cases;
}

}  // namespace crate
