// Cases of unit_rows.
#include "ops/unit_rows.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> unit_rows_cases() {
  std::vector<OpCase> cases;
  const auto build = [](Run& run, auto in) { return unit_rows(run, in[0]); };
  cases.push_back({.op = "unit_rows", .name = "one_row", .inputs = {{"x", {1, 40}}}, .build = build});
  cases.push_back({.op = "unit_rows", .name = "prime", .inputs = {{"x", {2, 67, 13}, 3.0}}, .build = build});
  cases.push_back(
      {.op = "unit_rows", .name = "bench_256", .inputs = {{"x", {4096, 256}}}, .build = build, .bench_only = true});
  for (OpCase& c : cases) c.has_frozen_rule = false;
  return cases;
}

}  // namespace crate
