// Cases of mha: its options alone and together, causal and not, odd shapes.
#include "ops/mha.h"

#include "testing/cases.h"

namespace crate {
namespace {

OpCase make_case(const char* name, Shape qkv, int64_t heads, bool causal, bool norm, bool rotary, bool bench = false) {
  // Sums of at most a few hundred terms, 2^-24 each: 2e-5 leaves room.
  OpCase c{.op = "mha", .name = name, .inputs = {{"qkv", qkv}}, .build = {}};
  c.inputs.push_back({"temperature", {heads}, 0.2, 1.5, norm});
  c.build = [=](Run& run, std::span<const Tensor> in) {
    return mha(run, in[0],
               {.heads = heads, .causal = causal, .temperature = norm ? in[1] : Tensor{}, .rotary = rotary});
  };
  c.bf16_tolerance = 1e-2;
  c.bench_only = bench;
  return c;
}

}  // namespace

std::vector<OpCase> mha_cases() {
  return {
      make_case("causal", {2, 13, 3 * 36}, 3, true, false, false),
      make_case("seen_both_ways", {2, 13, 3 * 36}, 3, false, false, false),
      make_case("one_token", {3, 1, 3 * 8}, 2, true, false, false),
      make_case("long_prime_head_17", {1, 101, 3 * 17}, 1, true, false, false),
      make_case("norm", {2, 11, 3 * 24}, 2, true, true, false),
      make_case("rotary", {2, 11, 3 * 24}, 2, true, false, true),
      make_case("norm_rotary", {2, 23, 3 * 40}, 2, true, true, true),
      make_case("norm_rotary_seen_both_ways", {1, 37, 3 * 34}, 1, false, true, true),
      make_case("bench_384", {32, 256, 3 * 384}, 6, true, false, false, true),
      make_case("bench_384_norm_rotary", {32, 256, 3 * 384}, 6, true, true, true, true),
  };
}

}  // namespace crate
