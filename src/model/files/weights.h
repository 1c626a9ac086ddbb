// weights: named arrays from a file of any kind that is read here; the content decides, not the suffix.
#pragma once
#include <memory>
#include <span>
#include <string>

#include "model/files/array.h"

namespace crate {

struct Weights {
  ArrayMap tensors;
  /// What the file says beside its tensors, as a JSON object. safetensors: its __metadata__, every value a string.
  /// PyTorch: everything plain in the checkpoint, e.g. {"model_args": {...}, "iter_num": 5}.
  std::string plain;
};

/// Reads safetensors and both formats of PyTorch. Throws Error naming the file and what is wrong with it.
Weights load_weights(const std::string& path);
/// The same on bytes in memory kept alive by `owner`; `name` appears in errors.
Weights parse_weights(std::span<const std::byte> bytes, const std::shared_ptr<const void>& owner,
                      const std::string& name);

}  // namespace crate
