// v1 dnnl_sgemm for everything, the epilogue as a pass over c.
// v2 oneDNN matmul, kernels compiled once a shape and kept; weights packed once a step; bf16 inputs where asked. The
//    inputs of a bf16 product are rounded into scratch just before it: on a CPU with AMX the product is so much faster
//    than in f32 that the extra pass is small beside the gain.
// v3 int8 inputs: rows of a rounded just before the product, weights once; the scales go into the epilogue.
// v4 the gradients of weights by kernels of our own (outer_sum.h).
// v5 products of a few rows with a weight by kernels of our own (few_rows.h).
// v6 operands and results that are kept as bf16, so that what the backward reads again is rounded once.
// v7 where bf16 products run in tiles (AMX), so do the gradients of weights (outer_sum_amx.cpp); a sum with an alpha
//    other than 1 that is added to c goes through working memory, where it had been f32.
// Tried: the epilogue as post-ops of oneDNN's kernel (oneDNN 2.6, one Zen 5 core, 128 rows of d 384 to 1536): 5 to 6 %
// slower than the pass in f32, 9 to 13 % in bf16, 15 to 25 % in int8. The pass finds c in the second-level cache.
// Found: the kernels of dnnl_sgemm (oneDNN 2.6, AVX-512) run with the stack pointer in a page of the heap. A signal
// handler that interrupts them overwrites what lies below it: take signals on a thread of their own (cli/interrupt.h).
#include "tensor/gemm_cpu.h"

#include <algorithm>

#include "base/parallel.h"
#include "tensor/compiled_product.h"
#include "tensor/epilogue.h"
#include "tensor/few_rows.h"
#include "tensor/outer_sum.h"
#include "tensor/packed_state.h"
#include "tensor/scratch_matrix.h"
#include "tensor/wide.h"

namespace crate {

PackedWeights::PackedWeights() : state_(std::make_unique<State>()) {}
PackedWeights::~PackedWeights() = default;

namespace {

// One pass over the sums, which are c's own memory or, where c is bf16, working memory.
void finish(const Gemm& g, const Tensor& sums, const GemmShape& s, const ProductScales& scales, bool alpha_too) {
  const Epilogue whole{.alpha = alpha_too ? static_cast<float>(g.alpha) : 1.0F,
                       .columns = scales.columns,
                       .bias = g.bias ? g.bias.as<float>() : nullptr,
                       .relu = g.relu};
  const float* rows = scales.rows ? scales.rows->as<float>() : nullptr;
  const bool own = sums.data == g.c.data;
  if (!rows && !g.plus && own && whole.changes_nothing()) return;
  parallel_for(s.m, 64, [&](int64_t lo, int64_t hi) {
    WideRows to(own ? sums : g.c), plus(g.plus ? g.plus : sums);
    for (int64_t i = lo; i < hi; ++i) {
      Epilogue e = whole;
      if (rows) e.alpha *= rows[i];
      if (g.plus) e.plus = plus.read(i);
      finish_row(e, sums.as<float>() + i * s.n, to.write(i), s.n);
      to.done(i);
    }
  });
}

// dnnl_sgemm takes alpha and needs neither packing nor a compiled kernel.
void plain_f32(const Gemm& g, const GemmShape& s) {
  // A long sum over the rows of both operands (a weight gradient, where outer_sum.h has no kernels) goes in slices
  // whose rows stay in a core's cache: 1.3x for (1536, 384) with k = 8192 on an Intel machine with 2 MiB a core.
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
}

// Tiny products are not worth rounding.
Products wanted(Device& device, const GemmShape& s) {
  return s.m * s.n * s.k <= 1 << 15 ? Products::f32 : device.products();
}

// What this product reads: int8 wants a weight and a result that is set.
Products inputs_of(Device& device, const Gemm& g, const GemmShape& s) {
  const Products asked = wanted(device, s);
  return asked == Products::int8 && (!g.b_is_weight || g.add) ? Products::bf16 : asked;
}

// The kernels for the gradient of a weight, or null where the general product serves.
const OuterKernels* gradient_kernels(const Gemm& g, const GemmShape& s, Products inputs) {
  constexpr int64_t long_sum = 256;
  const bool fits = g.trans_a && !g.trans_b && !g.bias && !g.plus && !g.relu && s.k >= long_sum && !is_narrow(g.c);
  return fits ? outer_kernels(inputs) : nullptr;
}

// Products that read bf16, with an alpha that must not meet what c holds: the sums apart, then one pass adds them.
void add_scaled(Device& device, const Gemm& g, const GemmShape& s) {
  const ScratchMatrix sums(device, s.m, s.n);
  Gemm product = g, onto = g;
  product.c = *sums;
  product.add = false;
  onto.plus = g.c;
  onto.bias = {};
  onto.relu = false;
  finish(onto, *sums, s, compiled_product(device, product, s, Products::bf16), true);
  finish(g, g.c, s, {}, false);
}

// Some of the tensors are bf16, so the product reads bf16 whatever its size.
void narrow_gemm(Device& device, const Gemm& g, const GemmShape& s) {
  require(device.operand() == Dtype::bf16, "[gemm] this device keeps no bf16");
  require(!g.add || !is_narrow(g.c), "[gemm] a sum cannot be added to bf16");
  if (const OuterKernels* outer = gradient_kernels(g, s, Products::bf16)) return outer_sum(device, *outer, g, s);
  if (g.alpha != 1 && g.add) return add_scaled(device, g, s);
  Gemm product = g;
  std::optional<ScratchMatrix> sums;
  if (is_narrow(g.c)) product.c = *sums.emplace(device, s.m, s.n);
  finish(g, product.c, s, compiled_product(device, product, s, Products::bf16), g.alpha != 1);
}

}  // namespace

int64_t weight_bytes_read(Device& device) { return device.packed().state().few_rows.bytes_read; }

void gemm_cpu(Device& device, const Gemm& g, const GemmShape& s) {
  if (is_narrow(g.a) || is_narrow(g.b) || is_narrow(g.c) || (g.plus && is_narrow(g.plus)))
    return narrow_gemm(device, g, s);
  // A sum with alpha other than 1 cannot be scaled afterwards.
  const bool scale_later = g.alpha != 1 && !g.add;
  if (device.exact()) {
    gemm_exact(device, device.packed().state().exact, g, s);
    return finish(g, g.c, s, {}, scale_later);
  }
  if (has_few_rows(g, s)) return gemm_few_rows(device, device.packed().state().few_rows, g, s, wanted(device, s));
  const Products inputs = inputs_of(device, g, s);
  if (const OuterKernels* outer = gradient_kernels(g, s, inputs)) return outer_sum(device, *outer, g, s);
  if (inputs == Products::bf16 && g.alpha != 1 && g.add) return add_scaled(device, g, s);
  const bool compiled = (g.alpha == 1 || scale_later) && (inputs != Products::f32 || (g.b_is_weight && s.m >= 16));
  if (compiled) return finish(g, g.c, s, compiled_product(device, g, s, inputs), scale_later);
  plain_f32(g, s);
  finish(g, g.c, s, {}, false);
}

}  // namespace crate
