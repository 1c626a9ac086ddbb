// Any bytes as a weights file of unknown kind. Checksums are what a mutation breaks first, so a second pass takes the
// input as the pickle of an archive that is otherwise whole.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "model/files/pytorch_storage.h"
#include "model/files/weights.h"

namespace {

void whole_file(std::span<const std::byte> bytes) {
  try {
    const crate::Weights file = crate::parse_weights(bytes, nullptr, "fuzz.pth");
    for (const auto& [name, array] : file.tensors) {
      if (array.bytes.size() > (std::size_t{16} << 20) + 4 * bytes.size()) std::abort();
    }
  } catch (const crate::Error&) {
    return;
  }
}

void only_pickle(std::span<const std::byte> bytes) {
  try {
    const crate::PytorchArchive archive{crate::read_pickle(bytes, "fuzz.pkl"),
                                        [&](const std::string&) { return bytes; }};
    crate::TensorReader reader(archive, bytes.size(), nullptr);
    for (const crate::PickleNode& node : archive.pickle.nodes) {
      if (node.kind == crate::PickleKind::tensor) reader.read(node, "fuzz.pkl");
    }
  } catch (const crate::Error&) {
    return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  whole_file(bytes);
  only_pickle(bytes);
  return 0;
}
