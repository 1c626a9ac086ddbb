// outer_sum: the shape of a weight's gradient, a sum of many outer products,
//
//   c (m, n) = or += alpha a' b,     a (k, m), b (k, n), k long
//
// The library's product spends its time on turning a round; here both operands are packed as they lie. Rows of a and b
// are taken `chunk` at a time: a in strips of 48 columns, b in panels of 64, so that a block of 6 x 64 sums in
// registers, or of 48 x 16 in tiles, reads both from the first two caches.
#pragma once
#include "tensor/gemm_cpu.h"

namespace crate {

/// One instruction set's kernels for operands that are f32, or rounded to bf16 while they are packed.
struct OuterKernels {
  static constexpr int64_t strip = 48, panel = 64;
  /// Columns lo .. lo + width - 1 of rows of `from` (n apart) to `width` numbers a row (bf16: a pair of rows), zero
  /// beyond `cols`.
  using Pack = void (*)(const void* from, int64_t n, int64_t lo, int64_t cols, int64_t rows, void* to);
  struct From {
    Pack strip, panel;
  };
  From f32, bf16;  // by what lies at `from`; f32 kernels take no bf16
  /// A strip times a panel times alpha into c (rows, cols), n apart.
  void (*multiply)(const void* strip, const void* panel, int64_t depth, float* c, int64_t n, int64_t rows, int64_t cols,
                   float alpha, bool add);
  int64_t bytes;  // of a packed number
  int64_t chunk;  // rows taken at a time, even
};

/// For this machine, or null where it has none for such operands.
const OuterKernels* outer_kernels(Products products);

/// g.trans_a and not g.trans_b, no bias, plus or relu; c is f32, a and b are what the kernels take; shapes checked.
void outer_sum(Device& device, const OuterKernels& kernels, const Gemm& g, const GemmShape& s);

#if defined(__x86_64__)
extern const OuterKernels outer_avx512;
extern const OuterKernels outer_avx512_bf16;
extern const OuterKernels outer_amx_bf16;
#endif

}  // namespace crate
