// presets: models by name: the authors' sizes, and small ones for a CPU.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"

namespace crate {

/// Throws Error listing the known names.
ModelConfig preset(std::string_view name);
std::vector<std::string> preset_names();

/// How a model is called where several stand side by side: its family, or "crate-one" or "crate-one-vision" where
/// its options are those.
std::string called(const ModelConfig& config);

}  // namespace crate
