// Cases of coding_rate.
#include "ops/coding_rate.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> coding_rate_cases() {
  std::vector<OpCase> cases;
  const auto with = [](CodingRateArgs args) {
    return [args](Run& run, auto in) { return coding_rate(run, in[0], args); };
  };
  cases.push_back({.op = "coding_rate", .name = "one_token", .inputs = {{"z", {1, 13}}}, .build = with({.alpha = 3})});
  cases.push_back(
      {.op = "coding_rate", .name = "more_tokens", .inputs = {{"z", {2, 37, 11}}}, .build = with({.alpha = 1.7})});
  cases.push_back(
      {.op = "coding_rate", .name = "more_channels", .inputs = {{"z", {2, 11, 37}}}, .build = with({.alpha = 0.3})});
  cases.push_back(
      {.op = "coding_rate", .name = "one_channel", .inputs = {{"z", {7, 1}}}, .build = with({.alpha = 20})});
  cases.push_back({.op = "coding_rate",
                   .name = "heads",
                   .inputs = {{"z", {2, 17, 3 * 7}}},
                   .build = with({.alpha = 5, .heads = 3})});
  cases.push_back({.op = "coding_rate",
                   .name = "unit_rows",
                   .inputs = {{"z", {2, 17, 2 * 7}, 3.0}},
                   .build = with({.alpha = 40, .heads = 2, .unit_rows = true})});
  cases.push_back({.op = "coding_rate",
                   .name = "unit_rows_wide",
                   .inputs = {{"z", {5, 13}, 0.2}},
                   .build = with({.alpha = 9, .unit_rows = true})});
  cases.push_back(
      {.op = "coding_rate", .name = "four_dimensions", .inputs = {{"z", {2, 3, 10, 6}}}, .build = with({.alpha = 60})});
  cases.push_back({.op = "coding_rate",
                   .name = "bench_views",
                   .inputs = {{"z", {2, 256, 256}}},
                   .build = with({.alpha = 20}),
                   .bench_only = true});
  cases.push_back({.op = "coding_rate",
                   .name = "bench_subspaces",
                   .inputs = {{"z", {16, 197, 768}}},
                   .build = with({.alpha = 32, .heads = 12}),
                   .bench_only = true});
  for (OpCase& c : cases) c.has_frozen_rule = false;
  return cases;
}

}  // namespace crate
