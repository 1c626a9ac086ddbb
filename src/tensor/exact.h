// exact: matrix products with one meaning for their every bit. Each number of c is one chain of fused multiply-adds in
// the order of the sum,
//
//   c_ij = fma(a_ik, b_kj, ... fma(a_i1, b_1j, c_ij or 0)),   each rounded once, as IEEE 754 defines it
//
// so vector width, tiles, threads and the processor's caches change nothing: learning on such a device ends with the
// same weights on every x86-64 machine with AVX2. The price is that a sum is never cut into parallel chains.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "tensor/gemm_cpu.h"

namespace crate {

struct ExactKernels {
  const char* name;
  int64_t panel;  // columns of b packed side by side: a panel is depth rows of so many floats
  /// c (rows, cols; rows c_row apart) = or += a b, cols <= panel, a(i, l) = a[i * a_row + l * a_step].
  void (*product)(int64_t rows, int64_t cols, int64_t depth, const float* a, int64_t a_row, int64_t a_step,
                  const float* b, float* c, int64_t c_row, bool add);
};

/// Of this machine, or those that the environment variable CRATE_ISA names (avx2; vnni means AVX-512). Throws Error
/// where there are none.
const ExactKernels& exact_kernels();

/// Packed panels of transposed weights, kept until weights_changed().
struct ExactPacks {
  struct Pack {
    uint64_t version = 0;
    std::vector<float> panels;
  };
  std::mutex mutex;
  std::map<std::tuple<const void*, int64_t, int64_t>, Pack> packs;
};

/// f32 tensors, shapes already checked, m and n > 0; without what follows the product (bias, plus, relu), with alpha
/// only where g.add is set.
void gemm_exact(Device& device, ExactPacks& packs, const Gemm& g, const GemmShape& s);

#if defined(__x86_64__)
extern const ExactKernels exact_avx2;
extern const ExactKernels exact_avx512;
#endif

}  // namespace crate
