#include "tensor/gemm_cpu.h"

#include <dnnl.hpp>

#include "base/parallel.h"

namespace crate {
namespace {

// One pass over c: bias, plus and relu.
void finish(const Gemm& g, const GemmShape& s) {
  const float* bias = g.bias ? g.bias.as<float>() : nullptr;
  const float* plus = g.plus ? g.plus.as<float>() : nullptr;
  float* c = g.c.as<float>();
  parallel_for(s.m, 64, [=, relu = g.relu](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      float* row = c + i * s.n;
      if (bias)
        for (int64_t j = 0; j < s.n; ++j) row[j] += bias[j];
      if (plus)
        for (int64_t j = 0; j < s.n; ++j) row[j] += plus[i * s.n + j];
      if (relu)
        for (int64_t j = 0; j < s.n; ++j) row[j] = row[j] > 0 ? row[j] : 0;
    }
  });
}

}  // namespace

void gemm_cpu(Device&, const Gemm& g, const GemmShape& s) {
  const auto status = dnnl_sgemm(g.trans_a ? 'T' : 'N', g.trans_b ? 'T' : 'N', s.m, s.n, s.k,
                                 static_cast<float>(g.alpha), g.a.as<float>(), g.trans_a ? s.m : s.k, g.b.as<float>(),
                                 g.trans_b ? s.k : s.n, g.add ? 1.0F : 0.0F, g.c.as<float>(), s.n);
  require(status == dnnl_success, "[gemm] oneDNN refused ({}, {}, {})", s.m, s.n, s.k);
  if (g.bias || g.plus || g.relu) finish(g, s);
}

}  // namespace crate
