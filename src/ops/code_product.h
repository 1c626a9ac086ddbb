// code_product: products that start from a sparse code, c = alpha * z D [+ plus]. z (rows, m), D (m, n) with one atom a
// row, c and plus (rows, n). Of D only the atoms that z names are read, since 0 * x adds nothing: exact, and for the
// few rows of decoding, where reading D is the whole cost, as much faster as the code is sparse. Many rows name nearly
// every atom between them; they take the dense product.
//
// Measured against the dense product on one row, 3072 atoms of 768 numbers: docs/experiments.md.
#pragma once
#include "tensor/gemm.h"

namespace crate {

/// gemm(device, g) in f32, without transposes, bias or relu; g.c may be none of the operands.
void code_product(Device& device, const Gemm& g);

}  // namespace crate
