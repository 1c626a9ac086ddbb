#include "ops/mssa.h"

namespace crate {

Tensor mssa(Run& run, const Tensor& w, const MssaArgs& args) {
  return attention(run, {.op = "mssa",
                         .source = w,
                         .heads = args.heads,
                         .causal = args.causal,
                         .temperature = args.temperature,
                         .norm_eps = args.norm_eps,
                         .shift = args.shift,
                         .direction = args.direction,
                         .metric_q = args.metric_q,
                         .metric_k = args.metric_k,
                         .rotary = args.rotary,
                         .rotary_base = args.rotary_base,
                         .relay = args.relay,
                         .exclusive = args.exclusive,
                         .operand = args.operand,
                         .cache = args.cache,
                         .site = args.site});
}

}  // namespace crate
