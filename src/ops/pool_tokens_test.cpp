// Cases of pool_tokens.
#include "ops/pool_tokens.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> pool_tokens_cases() {
  std::vector<OpCase> cases;
  const auto over = [](int64_t from, int64_t to) {
    return [=](Run& run, auto in) { return pool_tokens(run, in[0], {.from = from, .to = to}); };
  };
  cases.push_back({.op = "pool_tokens", .name = "first", .inputs = {{"x", {3, 5, 19}}}, .build = over(0, 1)});
  cases.push_back({.op = "pool_tokens", .name = "mean", .inputs = {{"x", {2, 7, 13}}}, .build = over(0, 0)});
  cases.push_back({.op = "pool_tokens", .name = "mean_but_first", .inputs = {{"x", {2, 7, 37}}}, .build = over(1, 0)});
  cases.push_back({.op = "pool_tokens", .name = "one_token", .inputs = {{"x", {1, 1, 8}}}, .build = over(0, 0)});
  return cases;
}

}  // namespace crate
