// error_feedback: rounding a matrix so that what it gives on real inputs changes least, not its numbers. Frantar and
// others, "GPTQ", 2023, arXiv 2210.17323.
//
//   H = X' X + damping      inputs x of the matrix in columns, one after another: round column j to its grid, e_j the
//   error divided by U_jj, and take e_j U_jk from every column k > j, U'U = H^-1: what rounding broke, the columns that
//   are still free repair as well as they can.
#pragma once
#include <string_view>
#include <vector>

#include "work/compress/quantized.h"

namespace crate {

/// As quantize(), with the inputs that `text` gives; at most 64 windows of it are read. Throws Error when the model
/// does not read bytes or the text is shorter than a window.
QuantizedModel quantize_with_feedback(LanguageModel& model, int bits, std::string_view text);

/// The upper triangle U with U'U = H^-1, H (n, n) symmetric and positive; row-major, zeros below. Throws Error.
std::vector<double> inverse_root(std::vector<double> h, int64_t n);

}  // namespace crate
