#include "tensor/gemm_cpu.h"

#include <dnnl.hpp>

#include "base/parallel.h"
#include "tensor/vector.h"

namespace crate {
namespace {

struct Finish {
  const float *bias, *plus;
  bool relu;
};

// One pass over rows of c: bias, plus and relu.
CRATE_CLONES void finish_rows(float* c, const Finish& f, int64_t lo, int64_t hi, int64_t n) {
  const float* bias = f.bias;
  const bool relu = f.relu;
  for (int64_t i = lo; i < hi; ++i) {
    float* row = c + i * n;
    const float* plus = f.plus ? f.plus + i * n : nullptr;
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const float value = row[j] + (bias ? bias[j] : 0.0F) + (plus ? plus[j] : 0.0F);
      row[j] = relu && value <= 0 ? 0.0F : value;
    }
  }
}

void finish(const Gemm& g, const GemmShape& s) {
  const Finish f{g.bias ? g.bias.as<float>() : nullptr, g.plus ? g.plus.as<float>() : nullptr, g.relu};
  float* c = g.c.as<float>();
  parallel_for(s.m, 64, [&](int64_t lo, int64_t hi) { finish_rows(c, f, lo, hi, s.n); });
}

}  // namespace

void gemm_cpu(Device&, const Gemm& g, const GemmShape& s) {
  // A long sum over the rows of both operands (a weight gradient) goes in slices whose rows stay in a core's cache:
  // 1.3x for (1536, 384) with k = 8192 on an Intel machine with 2 MiB a core.
  constexpr int64_t slice_rows = 512;
  const int64_t slice = g.trans_a && !g.trans_b ? slice_rows : s.k;
  const float *a = g.a.as<float>(), *b = g.b.as<float>();
  int64_t k = 0;
  do {
    const bool add = g.add || k > 0;
    const auto status = dnnl_sgemm(g.trans_a ? 'T' : 'N', g.trans_b ? 'T' : 'N', s.m, s.n, std::min(slice, s.k - k),
                                   static_cast<float>(g.alpha), a + k * s.m, g.trans_a ? s.m : s.k, b + k * s.n,
                                   g.trans_b ? s.k : s.n, add ? 1.0F : 0.0F, g.c.as<float>(), s.n);
    require(status == dnnl_success, "[gemm] oneDNN refused ({}, {}, {})", s.m, s.n, s.k);
    k += slice;
  } while (k < s.k);
  if (g.bias || g.plus || g.relu) finish(g, s);
}

}  // namespace crate
