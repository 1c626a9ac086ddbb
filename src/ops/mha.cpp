#include "ops/mha.h"

namespace crate {

Tensor mha(Run& run, const Tensor& qkv, const MhaArgs& args) {
  require(qkv.cols() % 3 == 0, "[mha] expected query, key and value of one width, came {}", qkv.shape.str());
  const int64_t d = qkv.cols() / 3;
  return attention(run, {.op = "mha",
                         .source = qkv,
                         .k_column = d,
                         .v_column = 2 * d,
                         .heads = args.heads,
                         .causal = args.causal,
                         .temperature = args.temperature,
                         .norm_eps = args.norm_eps,
                         .rotary = args.rotary,
                         .rotary_base = args.rotary_base,
                         .operand = args.operand,
                         .cache = args.cache,
                         .site = args.site});
}

}  // namespace crate
