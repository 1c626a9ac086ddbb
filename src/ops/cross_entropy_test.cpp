// Cases of cross_entropy.
#include "ops/cross_entropy.h"

#include "testing/cases.h"

namespace crate {
namespace {

OpInput tokens(Shape shape, int64_t vocab) { return {.name = "targets", .shape = shape, .below = vocab}; }

// Every third target becomes -1: not counted.
Tensor with_gaps(Run& run, const Tensor& targets) {
  const Tensor t = run.make(targets.shape, Dtype::i32);
  for (int64_t i = 0; i < t.numel(); ++i) t.as<int32_t>()[i] = i % 3 == 1 ? -1 : targets.as<int32_t>()[i];
  return t;
}

}  // namespace

std::vector<OpCase> cross_entropy_cases() {
  std::vector<OpCase> cases;
  const auto plain = [](Run& run, auto in) {
    return cross_entropy(run, in[0], {.head = in[1], .targets = in[2]}).loss;
  };
  cases.push_back({.op = "cross_entropy",
                   .name = "prime",
                   .inputs = {{"h", {3, 5, 13}}, {"head", {41, 13}}, tokens({3, 5}, 41)},
                   .build = plain,
                   .is_loss = true});
  cases.push_back({.op = "cross_entropy",
                   .name = "one_token",
                   .inputs = {{"h", {1, 8}}, {"head", {7, 8}}, tokens({1}, 7)},
                   .build = plain,
                   .is_loss = true});
  cases.push_back({.op = "cross_entropy",
                   .name = "large_logits",
                   .inputs = {{"h", {2, 5, 9}, 30.0}, {"head", {11, 9}}, tokens({2, 5}, 11)},
                   .build = plain,
                   .is_loss = true});
  cases.push_back({.op = "cross_entropy",
                   .name = "several_chunks",
                   .inputs = {{"h", {521, 3}}, {"head", {5, 3}}, tokens({521}, 5)},
                   .build = plain,
                   .is_loss = true});
  cases.push_back({.op = "cross_entropy",
                   .name = "several_groups",
                   .inputs = {{"h", {523, 2}}, {"head", {9001, 2}}, tokens({523}, 9001)},
                   .build = plain,
                   .is_loss = true});
  cases.push_back({.op = "cross_entropy",
                   .name = "some_not_counted",
                   .inputs = {{"h", {2, 7, 5}}, {"head", {11, 5}}, tokens({2, 7}, 11)},
                   .build =
                       [](Run& run, auto in) {
                         const Tensor targets = with_gaps(run, in[2]);
                         return cross_entropy(run, in[0], {.head = in[1], .targets = targets}).loss;
                       },
                   .is_loss = true});
  cases.push_back({.op = "cross_entropy",
                   .name = "bench_384_257",
                   .inputs = {{"h", {8192, 384}}, {"head", {257, 384}}, tokens({8192}, 257)},
                   .build = plain,
                   .is_loss = true,
                   .bench_only = true});
  cases.push_back({.op = "cross_entropy",
                   .name = "bench_384_50304",
                   .inputs = {{"h", {2048, 384}}, {"head", {50304, 384}}, tokens({2048}, 50304)},
                   .build = plain,
                   .is_loss = true,
                   .bench_only = true});
  for (OpCase& c : cases) c.has_frozen_rule = false;
  return cases;
}

}  // namespace crate
