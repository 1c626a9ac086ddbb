// Cases of pick_tokens.
#include "ops/pick_tokens.h"

#include "testing/cases.h"

namespace crate {
namespace {

// Every third index becomes -1: filled.
Tensor with_gaps(Run& run, const Tensor& index) {
  const Tensor out = run.make(index.shape, Dtype::i32);
  for (int64_t i = 0; i < out.numel(); ++i) out.as<int32_t>()[i] = i % 3 == 1 ? -1 : index.as<int32_t>()[i];
  return out;
}

}  // namespace

std::vector<OpCase> pick_tokens_cases() {
  std::vector<OpCase> cases;
  const auto filled = [](Run& run, auto in) {
    return pick_tokens(run, in[0], {.index = with_gaps(run, in[1]), .fill = in[2]});
  };
  cases.push_back({.op = "pick_tokens",
                   .name = "filled_and_repeated",
                   .inputs = {{"x", {3, 5, 19}}, {.name = "index", .shape = {3, 7}, .below = 5}, {"fill", {19}}},
                   .build = filled});
  cases.push_back({.op = "pick_tokens",
                   .name = "some_left_out",
                   .inputs = {{"x", {2, 7, 5}}, {.name = "index", .shape = {2, 3}, .below = 7}},
                   .build = [](Run& run, auto in) { return pick_tokens(run, in[0], {.index = in[1]}); }});
  cases.push_back({.op = "pick_tokens",
                   .name = "one_token",
                   .inputs = {{"x", {1, 1, 8}}, {.name = "index", .shape = {1, 2}, .below = 1}, {"fill", {8}}},
                   .build = filled});
  for (OpCase& c : cases) c.has_frozen_rule = false;
  return cases;
}

}  // namespace crate
