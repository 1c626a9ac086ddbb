#include "model/files/weights.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "model/files/pytorch.h"
#include "model/files/safetensors.h"

namespace crate {
namespace {

bool begins_with(std::span<const std::byte> bytes, std::string_view text) {
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).starts_with(text);
}

}  // namespace

Weights parse_weights(std::span<const std::byte> bytes, const std::shared_ptr<const void>& owner,
                      const std::string& name) {
  require(!bytes.empty(), "{}: the file is empty", name);
  // The 64-bit header length of safetensors leaves its upper half zero, where a pickle has its magic number.
  const bool safetensors = bytes.size() > 8 && bytes[8] == std::byte{'{'} && !begins_with(bytes, "PK\x03\x04");
  if (!safetensors && (begins_with(bytes, "PK") || begins_with(bytes, "\x80"))) {
    PytorchFile file = parse_pytorch(bytes, owner, name);
    return {std::move(file.tensors), std::move(file.plain)};
  }
  require(safetensors || name.ends_with(".safetensors"),
          "{}: neither safetensors nor a PyTorch checkpoint (.pth, .pt, .pth.tar)", name);
  SafetensorsFile file = parse_safetensors(bytes, owner, name);
  return {std::move(file.tensors),
          nlohmann::json(file.metadata).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

Weights load_weights(const std::string& path) {
  auto map = std::make_shared<MappedFile>(path);
  const auto bytes = map->bytes();
  return parse_weights(bytes, map, path);
}

}  // namespace crate
