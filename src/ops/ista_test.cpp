// Cases of ista. Dictionaries are about as large as the authors initialise them: entries of about sqrt(2 / d).
#include "ops/ista.h"

#include <cmath>

#include "testing/cases.h"

namespace crate {
namespace {

OpInput constant(const char* name, double value) {
  return {.name = name, .shape = {1}, .scale = 0, .offset = value, .grad = false};
}

OpInput dict(int64_t d) { return {.name = "dict", .shape = {d, d}, .scale = 1.4 / std::sqrt(static_cast<double>(d))}; }

}  // namespace

std::vector<OpCase> ista_cases() {
  std::vector<OpCase> cases;
  const auto one_step = [](Run& run, auto in) {
    return ista(run, in[0], {.dict = in[1], .eta = in[2], .lambda = in[3]});
  };
  cases.push_back({.op = "ista",
                   .name = "authors",
                   .inputs = {{"v", {3, 5, 37}}, dict(37), constant("eta", 0.1), constant("lambda", 0.1)},
                   .build = one_step});
  cases.push_back({.op = "ista",
                   .name = "one_token",
                   .inputs = {{"v", {1, 24}}, dict(24), constant("eta", 0.1), constant("lambda", 0.1)},
                   .build = one_step});
  cases.push_back({.op = "ista",
                   .name = "several_chunks",
                   .inputs = {{"v", {259, 11}}, dict(11), {"eta", {1}, 0, 0.3}, {"lambda", {11}, 0.1, 0.1}},
                   .build = one_step});
  cases.push_back({.op = "ista",
                   .name = "learned_scalars",
                   .inputs = {{"v", {2, 7, 19}}, dict(19), {"eta", {1}, 0, 0.2}, {"lambda", {1}, 0, 0.15}},
                   .build = one_step});
  cases.push_back(
      {.op = "ista",
       .name = "residual_code_apart",
       .inputs = {{"v", {2, 7, 19}}, dict(19), constant("eta", 0.3), constant("lambda", 0.2), {"residual", {2, 7, 19}}},
       .build = [](Run& run, auto in) {
         return ista(run, in[0], {.dict = in[1], .eta = in[2], .lambda = in[3], .residual = in[4]});
       }});
  cases.push_back({.op = "ista",
                   .name = "three_steps",
                   .inputs = {{"v", {2, 9, 17}}, dict(17), constant("eta", 0.2), constant("lambda", 0.1)},
                   .build = [](Run& run, auto in) {
                     return ista(run, in[0], {.dict = in[1], .eta = in[2], .lambda = in[3], .steps = 3});
                   }});
  cases.push_back(
      {.op = "ista",
       .name = "all_options",
       .inputs =
           {{"v", {3, 47, 13}}, dict(13), {"eta", {1}, 0, 0.2}, {"lambda", {13}, 0.1, 0.1}, {"residual", {3, 47, 13}}},
       .build = [](Run& run, auto in) {
         return ista(run, in[0], {.dict = in[1], .eta = in[2], .lambda = in[3], .steps = 2, .residual = in[4]});
       }});
  cases.push_back({.op = "ista",
                   .name = "frozen_dict",
                   .inputs = {{"v", {5, 8}},
                              {.name = "dict", .shape = {8, 8}, .scale = 0.4, .grad = false},
                              constant("eta", 0.2),
                              constant("lambda", 0.1)},
                   .build = one_step});
  cases.push_back({.op = "ista",
                   .name = "bench_384",
                   .inputs = {{"v", {8192, 384}}, dict(384), constant("eta", 0.1), constant("lambda", 0.1)},
                   .build = one_step,
                   .bench_only = true});
  cases.push_back({.op = "ista",
                   .name = "bench_576_images",
                   .inputs = {{"v", {16, 197, 576}}, dict(576), constant("eta", 0.1), constant("lambda", 0.1)},
                   .build = one_step,
                   .bench_only = true});
  // Rounding turns a gate where the last argument of the relu is nearly 0: a share f of turned gates errs by sqrt f,
  // and of cases this small one gate is a large share.
  for (OpCase& c : cases) c.bf16_tolerance = 1.5e-1;
  return cases;
}

}  // namespace crate
