// Any bytes as a recorded explanation: an Error, or a document whose fields are what they should be.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "work/explain/graph_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  try {
    const crate::GraphFile file = crate::parse_graph_file({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const int32_t token : file.tokens) {
      if (token < 0) std::abort();
    }
    if (!file.document.contains("nodes")) std::abort();
  } catch (const crate::Error&) {
  }
  return 0;
}
