// safetensors: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}} with an optional
// "__metadata__" of strings, then raw little-endian data. Nothing in a header is believed before it has been checked.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "model/files/array.h"

namespace crate {

struct SafetensorsFile {
  ArrayMap tensors;
  std::map<std::string, std::string> metadata;
};

/// Maps the file; the arrays view the mapping. Throws Error naming the file and what is wrong with it.
SafetensorsFile read_safetensors(const std::string& path);
/// The same on bytes in memory kept alive by `owner`; `name` appears in errors.
SafetensorsFile parse_safetensors(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                  const std::string& name);

/// One tensor to write; the bytes must stay alive during the call.
struct TensorToWrite {
  std::string name;
  FileDtype dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Atomic. Tensors in the order given; the header is padded with spaces to a multiple of 8.
void write_safetensors(const std::string& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace crate
