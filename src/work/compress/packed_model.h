// packed_model: a quantized model as bytes, entropy-coded: what an archive that carries its model pays for it.
//
//   "CRQ1"  length (varint) and JSON of the configuration  bits  then one arithmetic code of, in the order of names:
//   matrices: the scales (2 bytes each: the upper half of a float), then the integers; vectors: the upper 3 bytes of
//   each float. Every matrix has learning bits of its own, so the code finds the shape of its distribution.
#pragma once
#include <string>
#include <string_view>

#include "work/compress/quantized.h"

namespace crate {

std::string pack_model(const QuantizedModel& model);

/// Throws Error naming `where` when the bytes are no packed model, are damaged, or describe one of more than
/// 256 MiB.
QuantizedModel unpack_model(std::string_view bytes, const std::string& where);

/// A packed file, or a model directory (quantized to `bits` now). Throws Error.
QuantizedModel load_quantized(const std::string& path, int bits = 8);

}  // namespace crate
