// Cases of embedding.
#include "ops/embedding.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> embedding_cases() {
  std::vector<OpCase> cases;
  const auto at_three = [](Run& run, auto in) {
    return embedding(run, in[0], {.table = in[1], .positions = in[2], .first_position = 3});
  };
  const auto from_zero = [](Run& run, auto in) { return embedding(run, in[0], {.table = in[1], .positions = in[2]}); };
  cases.push_back({.op = "embedding",
                   .name = "tokens_only",
                   .inputs = {{.name = "tokens", .shape = {3, 5}, .below = 11}, {"table", {11, 7}}},
                   .build = [](Run& run, auto in) { return embedding(run, in[0], {.table = in[1]}); }});
  cases.push_back(
      {.op = "embedding",
       .name = "positions_repeated_tokens",
       .inputs = {{.name = "tokens", .shape = {4, 9}, .below = 3}, {"table", {3, 37}}, {"positions", {9, 37}}},
       .build = from_zero});
  cases.push_back(
      {.op = "embedding",
       .name = "one_token_later",
       .inputs = {{.name = "tokens", .shape = {1, 1}, .below = 5}, {"table", {5, 24}}, {"positions", {6, 24}}},
       .build = at_three});
  cases.push_back({.op = "embedding",
                   .name = "bench_384",
                   .inputs = {{.name = "tokens", .shape = {32, 256}, .below = 257},
                              {"table", {257, 384}},
                              {"positions", {256, 384}}},
                   .build = from_zero,
                   .bench_only = true});
  return cases;
}

}  // namespace crate
