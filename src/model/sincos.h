// sincos: fixed positions of a grid of patches, as the auto-encoders have them (He et al. 2021): for a patch in column
// x and row y the first half of the d numbers tells x, the second y, each as sin(x f_i) .. cos(x f_i) .., f_i =
// 10000^(-4 i / d), i < d / 4. Tokens before the grid stand at 0.
#pragma once
#include "tensor/device.h"

namespace crate {

/// Fills a table (before + rows columns, d); d must be a multiple of 4. The same numbers on every device.
void write_sincos(const Tensor& table, int64_t rows, int64_t columns);

}  // namespace crate
