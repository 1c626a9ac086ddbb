// Cases of add_positions.
#include "ops/add_positions.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> add_positions_cases() {
  std::vector<OpCase> cases;
  const auto both = [](Run& run, auto in) { return add_positions(run, in[0], {.first = in[1], .positions = in[2]}); };
  cases.push_back({.op = "add_positions",
                   .name = "first_and_positions",
                   .inputs = {{"x", {3, 5, 19}}, {"first", {19}}, {"positions", {6, 19}}},
                   .build = both});
  cases.push_back({.op = "add_positions",
                   .name = "one_token",
                   .inputs = {{"x", {1, 1, 8}}, {"first", {8}}, {"positions", {2, 8}}},
                   .build = both});
  cases.push_back({.op = "add_positions",
                   .name = "first_only",
                   .inputs = {{"x", {2, 3, 7}}, {"first", {7}}},
                   .build = [](Run& run, auto in) { return add_positions(run, in[0], {.first = in[1]}); }});
  cases.push_back({.op = "add_positions",
                   .name = "positions_only",
                   .inputs = {{"x", {2, 3, 37}}, {"positions", {3, 37}}},
                   .build = [](Run& run, auto in) { return add_positions(run, in[0], {.positions = in[1]}); }});
  cases.push_back({.op = "add_positions",
                   .name = "bench_576",
                   .inputs = {{"x", {16, 196, 576}}, {"first", {576}}, {"positions", {197, 576}}},
                   .build = both,
                   .bench_only = true});
  return cases;
}

}  // namespace crate
