// Any bytes as a safetensors file: an Error or arrays that lie inside the bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "model/files/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const crate::SafetensorsFile file = crate::parse_safetensors(bytes, nullptr, "fuzz.safetensors");
    std::size_t total = 0;
    for (const auto& [name, array] : file.tensors) {
      total += array.bytes.size();
      if (array.to_f64().size() != static_cast<std::size_t>(array.numel())) std::abort();
    }
    if (total > size) std::abort();
  } catch (const crate::Error&) {
    return 0;
  }
  return 0;
}
