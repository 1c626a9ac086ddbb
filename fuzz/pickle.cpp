// Any bytes as a pickle: an Error or values, which are then printed as JSON. Smaller limits than the real ones, so that
// the limits are reached too.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "model/files/pickle.h"
#include "model/files/pickle_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const crate::Pickle pickle = crate::read_pickle(bytes, "fuzz.pkl", {.nodes = 2000, .work = 20000});
    if (pickle.length > size || pickle.nodes.size() > 2000) std::abort();
    if (crate::plain_json(pickle, pickle.top()).empty()) std::abort();
  } catch (const crate::Error&) {
    return 0;
  }
  return 0;
}
