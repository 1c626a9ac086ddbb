// Cases of patch_loss.
#include "ops/patch_loss.h"

#include "testing/cases.h"

namespace crate {

std::vector<OpCase> patch_loss_cases() {
  std::vector<OpCase> cases;
  const auto loss = [](bool norm_pix) {
    return [=](Run& run, auto in) {
      return patch_loss(run, in[0], {.target = in[1], .mask = in[2], .norm_pix = norm_pix, .weight = 1});
    };
  };
  const auto inputs = [](int64_t b, int64_t n, int64_t l) {
    return std::vector<OpInput>{{"pred", {b, n, l}},
                                {"target", {b, n, l}, 2.0, 0.5},
                                {.name = "mask", .shape = {b, n}, .scale = 0.2, .offset = 0.5, .grad = false}};
  };
  cases.push_back({.op = "patch_loss", .name = "plain", .inputs = inputs(3, 5, 19), .build = loss(false)});
  cases.push_back({.op = "patch_loss", .name = "norm_pix", .inputs = inputs(2, 7, 37), .build = loss(true)});
  cases.push_back({.op = "patch_loss", .name = "one_patch", .inputs = inputs(1, 1, 3), .build = loss(true)});
  cases.push_back({.op = "patch_loss",
                   .name = "bench_224",
                   .inputs = inputs(16, 196, 768),
                   .build = loss(true),
                   .bench_only = true});
  for (OpCase& c : cases) c.has_frozen_rule = false;
  return cases;
}

}  // namespace crate
