// Cases of trace.
#include "ops/trace.h"

#include "testing/cases.h"

namespace crate {
namespace {

OpCase make_case(const char* name, Shape x, bool bench = false) {
  OpCase c{.op = "trace", .name = name, .inputs = {{"x", x}, {"share", {x.cols()}}}, .build = {}};
  c.build = [](Run& run, std::span<const Tensor> in) { return trace(run, in[0], {.share = in[1]}); };
  c.bench_only = bench;
  return c;
}

}  // namespace

std::vector<OpCase> trace_cases() {
  return {make_case("prime", {3, 67, 13}), make_case("one_token", {2, 1, 40}), make_case("two_tokens", {2, 2, 5}),
          make_case("bench_384", {32, 256, 384}, true)};
}

}  // namespace crate
