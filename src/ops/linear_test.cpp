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
  for (OpCase& c : cases) c.bf16_tolerance = 1e-2;
  // Products of the models: rows, channels in and out.
  const auto bench = [&cases](const char* name, int64_t rows, int64_t d_in, int64_t d_out) {
    cases.push_back({.op = "linear",
                     .name = name,
                     .inputs = {{"x", {rows, d_in}}, {"w", {d_out, d_in}}, {"b", {d_out}}},
                     .build = [](Run& run, auto in) { return linear(run, in[0], {.weight = in[1], .bias = in[2]}); },
                     .bench_only = true});
  };
  bench("bench_384", 8192, 384, 384);
  bench("bench_384_1536", 8192, 384, 1536);
  bench("bench_1536_384", 8192, 1536, 384);
  bench("bench_576_images", 16 * 197, 576, 576);
  bench("bench_768", 2048, 768, 768);
  bench("bench_768_3072", 2048, 768, 3072);
  return cases;
}

}  // namespace crate
