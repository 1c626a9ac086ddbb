// Cases of ista_wide. Atoms are about as long as the authors initialise them: entries of about sqrt(2 / d) or smaller.
#include "ops/ista_wide.h"

#include <cmath>

#include "testing/cases.h"

namespace crate {
namespace {

OpInput constant(const char* name, double value) {
  return {.name = name, .shape = {1}, .scale = 0, .offset = value, .grad = false};
}

OpInput dict(const char* name, int64_t m, int64_t d) {
  return {.name = name, .shape = {m, d}, .scale = 1 / std::sqrt(static_cast<double>(d))};
}

}  // namespace

std::vector<OpCase> ista_wide_cases() {
  std::vector<OpCase> cases;
  const auto tied = [](int steps) {
    return [steps](Run& run, auto in) {
      return ista_wide(run, in[0], {.dict = in[1], .eta = in[2], .lambda = in[3], .steps = steps});
    };
  };
  cases.push_back({.op = "ista_wide",
                   .name = "authors",
                   .inputs = {{"v", {3, 5, 13}}, dict("dict", 52, 13), constant("eta", 0.1), constant("lambda", 0.1)},
                   .build = tied(2)});
  cases.push_back({.op = "ista_wide",
                   .name = "one_token",
                   .inputs = {{"v", {1, 8}}, dict("dict", 32, 8), constant("eta", 0.2), constant("lambda", 0.1)},
                   .build = tied(2)});
  // So few atoms that the products from the code read these alone.
  cases.push_back({.op = "ista_wide",
                   .name = "one_token_few_atoms",
                   .inputs = {{"v", {1, 29}}, dict("dict", 111, 29), constant("eta", 0.2), constant("lambda", 1.2)},
                   .build = tied(2)});
  cases.push_back({.op = "ista_wide",
                   .name = "few_tokens_few_atoms_untied_residual",
                   .inputs = {{"v", {3, 1, 17}},
                              dict("dict", 70, 17),
                              constant("eta", 0.3),
                              constant("lambda", 2.2),
                              dict("dict_out", 70, 17),
                              {"residual", {3, 1, 17}}},
                   .build = [](Run& run, auto in) {
                     return ista_wide(
                         run, in[0],
                         {.dict = in[1], .dict_out = in[4], .eta = in[2], .lambda = in[3], .residual = in[5]});
                   }});
  cases.push_back({.op = "ista_wide",
                   .name = "one_step_learned_scalars",
                   .inputs = {{"v", {2, 7, 11}}, dict("dict", 23, 11), {"eta", {1}, 0, 0.3}, {"lambda", {1}, 0, 0.1}},
                   .build = tied(1)});
  cases.push_back({.op = "ista_wide",
                   .name = "three_steps_several_chunks",
                   .inputs = {{"v", {259, 7}}, dict("dict", 17, 7), {"eta", {1}, 0, 0.15}, {"lambda", {17}, 0.1, 0.1}},
                   .build = tied(3)});
  cases.push_back({.op = "ista_wide",
                   .name = "untied_residual",
                   .inputs = {{"v", {2, 5, 13}},
                              dict("dict", 31, 13),
                              constant("eta", 0.2),
                              constant("lambda", 0.1),
                              dict("dict_out", 31, 13),
                              {"residual", {2, 5, 13}}},
                   .build = [](Run& run, auto in) {
                     return ista_wide(
                         run, in[0],
                         {.dict = in[1], .dict_out = in[4], .eta = in[2], .lambda = in[3], .residual = in[5]});
                   }});
  cases.push_back(
      {.op = "ista_wide",
       .name = "all_options",
       .inputs = {{"v", {3, 47, 9}},
                  dict("dict", 19, 9),
                  {"eta", {1}, 0, 0.2},
                  {"lambda", {19}, 0.1, 0.1},
                  dict("dict_out", 19, 9),
                  {"residual", {3, 47, 9}}},
       .build = [](Run& run, auto in) {
         return ista_wide(
             run, in[0],
             {.dict = in[1], .dict_out = in[4], .eta = in[2], .lambda = in[3], .steps = 3, .residual = in[5]});
       }});
  cases.push_back({.op = "ista_wide",
                   .name = "read_out_is_the_dictionary",
                   .inputs = {{"v", {5, 6}}, dict("dict", 10, 6), constant("eta", 0.3), constant("lambda", 0.05)},
                   .build = [](Run& run, auto in) {
                     return ista_wide(run, in[0], {.dict = in[1], .dict_out = in[1], .eta = in[2], .lambda = in[3]});
                   }});
  cases.push_back(
      {.op = "ista_wide",
       .name = "bench_384_1536",
       .inputs = {{"v", {8192, 384}}, dict("dict", 1536, 384), constant("eta", 0.1), constant("lambda", 0.1)},
       .build = tied(2),
       .bench_only = true});
  // A token of decoding; one atom in ten answers.
  cases.push_back({.op = "ista_wide",
                   .name = "bench_decode_768_3072",
                   .inputs = {{"v", {1, 768}}, dict("dict", 3072, 768), constant("eta", 0.1), constant("lambda", 1.3)},
                   .build = tied(2),
                   .bench_only = true});
  // Rounding turns a gate where the last argument of the relu is nearly 0: a share f of turned gates errs by sqrt f,
  // and of cases this small one gate is a large share.
  for (OpCase& c : cases) c.bf16_tolerance = 8e-2;
  return cases;
}

}  // namespace crate
