// Cases of resample_positions.
#include "ops/resample_positions.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> resample_positions_cases() {
  std::vector<OpCase> cases;
  const auto between = [](Grid from, Grid to, int64_t before) {
    return
        [=](Run& run, auto in) { return resample_positions(run, in[0], {.from = from, .to = to, .before = before}); };
  };
  cases.push_back(
      {.op = "resample_positions", .name = "larger", .inputs = {{"x", {13, 19}}}, .build = between({3, 4}, {7, 5}, 1)});
  cases.push_back(
      {.op = "resample_positions", .name = "smaller", .inputs = {{"x", {35, 5}}}, .build = between({5, 7}, {2, 3}, 0)});
  cases.push_back({.op = "resample_positions",
                   .name = "one_place",
                   .inputs = {{"x", {2, 8}}},
                   .build = between({1, 1}, {2, 2}, 1)});
  return cases;
}

}  // namespace crate
