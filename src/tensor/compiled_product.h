// compiled_product: c (m, n) = or += a b by a oneDNN kernel that is compiled once a shape and kept, on operands as they
// are, rounded to bf16, or rounded to int8 with scales (round.h). A weight b is packed once into the layout its kernel
// likes, and the copy is kept until weights_changed(). oneDNN reads bf16 on machines with AVX-512 only, and
// without VNNI its sums of int8 products saturate; there the rounded numbers stay f32: as exact, at the speed of f32.
// Tried there: bytes in 16 bits by vpmaddwd, blocks of 5 or 6 rows by 16 columns: 0.75 to 1.1 of the speed of f32 on a
// Zen 3 core (384 to 1536, rounding included); the registers alone do 82 against 49 GMAC/s.
#pragma once
#include <optional>

#include "tensor/gemm_cpu.h"

namespace crate {

/// The scales that an int8 product leaves to be multiplied: c_ij stands for c_ij rows_i columns_j. Empty else.
struct ProductScales {
  std::optional<Scratch> rows;
  const float* columns = nullptr;
};

/// The bare product, without alpha, bias, plus and relu; c is f32, and so are a and b unless `products` is bf16.
/// `products` int8: g.b_is_weight and not g.add.
ProductScales compiled_product(Device& device, const Gemm& g, const GemmShape& s, Products products);

}  // namespace crate
