// gemm_f64: the matrix product in double, in blocks. Every number of c is summed in the order of the plain loop of
// ref, l = 0, 1, .. k - 1 from 0 on, without fused multiply-adds: the bits are those of the plain loop, on every
// machine and with any number of threads. Frozen walks in double (work/explain) owe their speed to it.
#pragma once
#include "tensor/gemm.h"
#include "tensor/gemm_cpu.h"

namespace crate {

/// to (m, n) = op(a) op(b), f64; shapes already checked. The rest of g is the caller's.
void products_f64(Device& device, const Gemm& g, const GemmShape& s, double* to);

}  // namespace crate
