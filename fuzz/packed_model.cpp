// Any bytes as a packed model: an Error, or a model that packs to what unpacks to it, and whose forward runs.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "work/compress/integer_model.h"
#include "work/compress/packed_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  try {
    const crate::QuantizedModel model = crate::unpack_model({reinterpret_cast<const char*>(data), size}, "fuzz");
    const std::string packed = crate::pack_model(model);
    if (crate::pack_model(crate::unpack_model(packed, "fuzz")) != packed) std::abort();
    crate::behaviour_of(crate::IntegerModel(model));
  } catch (const crate::Error&) {
  }
  return 0;
}
