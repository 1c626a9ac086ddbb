// Cases of class_loss.
#include "ops/class_loss.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> class_loss_cases() {
  std::vector<OpCase> cases;
  const auto plain = [](Run& run, auto in) { return class_loss(run, in[0], {.targets = in[1]}).loss; };
  const auto targets = [](Shape shape) {
    return OpInput{.name = "targets", .shape = shape, .scale = 0.1, .offset = 0.3, .grad = false};
  };
  cases.push_back(
      {.op = "class_loss", .name = "soft_targets", .inputs = {{"logits", {5, 13}}, targets({5, 13})}, .build = plain});
  cases.push_back(
      {.op = "class_loss", .name = "one_image", .inputs = {{"logits", {1, 2}}, targets({1, 2})}, .build = plain});
  cases.push_back({.op = "class_loss",
                   .name = "large_logits",
                   .inputs = {{"logits", {3, 37}, 30.0}, targets({3, 37})},
                   .build = plain});
  cases.push_back({.op = "class_loss",
                   .name = "bench_1000",
                   .inputs = {{"logits", {64, 1000}}, targets({64, 1000})},
                   .build = plain,
                   .bench_only = true});
  for (OpCase& c : cases) c.has_frozen_rule = false;
  return cases;
}

}  // namespace crate
