// Cases of linear.
#include "ops/linear.h"
#include "testing/cases.h"

namespace crate {

std::vector<OpCase> linear_cases() {
  // A dot product of k f32 terms errs by about sqrt(k) 2^-24 of its size: 2e-5 leaves room for k in the thousands.
  std::vector<OpCase> cases;
  cases.push_back(
      {.op = "linear", .name = "plain", .inputs = {{"x", {3, 5, 7}}, {"w", {11, 7}}}, .build = [](Run& run, auto in) {
         return linear(run, in[0], {.weight = in[1]});
       }});
  cases.push_back({.op = "linear",
                   .name = "bias_residual",
                   .inputs = {{"x", {13, 17}}, {"w", {19, 17}}, {"b", {19}}, {"residual", {13, 19}}},
                   .build = [](Run& run, auto in) {
                     return linear(run, in[0], {.weight = in[1], .bias = in[2], .residual = in[3]});
                   }});
  cases.push_back({.op = "linear",
                   .name = "one_token",
                   .inputs = {{"x", {1, 36}}, {"w", {144, 36}}, {"b", {144}}},
                   .build = [](Run& run, auto in) { return linear(run, in[0], {.weight = in[1], .bias = in[2]}); }});
  cases.push_back({.op = "linear",
                   .name = "bench_384",
                   .inputs = {{"x", {8192, 384}}, {"w", {384, 384}}, {"b", {384}}},
                   .build = [](Run& run, auto in) { return linear(run, in[0], {.weight = in[1], .bias = in[2]}); },
                   .bench_only = true});
  return cases;
}

}  // namespace crate
