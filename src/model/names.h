// names: our parameter names and those of the authors' checkpoints (crate-lm/crate-lm; nanoGPT for the twins), both ways.
#pragma once
#include <string>
#include <string_view>

#include "model/config.h"

namespace crate {

/// "blocks.3.mssa.u" -> "transformer.h.3.attn.c_attn.weight"; empty when the authors' code has no such parameter.
std::string official_name(Family family, std::string_view name);

/// True for what official checkpoints hold besides parameters: constant attention masks, and the tied head.
bool is_official_extra(std::string_view name);

}  // namespace crate
