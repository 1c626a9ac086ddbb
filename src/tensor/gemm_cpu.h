// gemm_cpu: the matrix product on the CPU through oneDNN.
#pragma once
#include "tensor/gemm.h"

namespace crate {

/// c is (m, n); k is the length of each sum.
struct GemmShape {
  int64_t m, n, k;
};

/// f32 tensors, shapes already checked, m and n > 0.
void gemm_cpu(Device& device, const Gemm& g, const GemmShape& s);

}  // namespace crate
