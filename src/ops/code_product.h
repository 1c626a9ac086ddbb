// code_product: products that start from a sparse code, c = alpha * z D [+ plus]. z (rows, m), D (m, n) with one atom a
// row, c and plus (rows, n). Of D only the atoms that z names are read, since 0 * x adds nothing: exact, and for the
// few rows of decoding, where reading D is the whole cost, as much faster as the code is sparse. Many rows name nearly
// every atom between them; they take the dense product.
//
// One row, 3072 atoms of 768 numbers that no cache holds, one thread, in turn with the dense product
// (docs/experiments.md):
//   non-zero   2 %    5 %   10 %   20 %   30 %   45 %   59 %
//   faster    31x    15x   8.2x   4.1x   2.8x   1.9x   1.5x
#pragma once
#include "tensor/gemm.h"

namespace crate {

/// gemm(device, g) in f32, without transposes, bias or relu; g.c may be none of the operands.
void code_product(Device& device, const Gemm& g);

}  // namespace crate
