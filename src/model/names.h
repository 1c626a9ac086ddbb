// names: what the authors' code calls our parameters. One table a family serves import, export and printed names.
//   crate-gpt, crate-lm   crate-lm/crate-lm, crate.py and crate_overcomplete.py
//   gpt2, gpt-relu        nanoGPT and its descendants: crate-lm/crate-lm, gpt.py; RobinWu218/ToST, model_TSSA.py
// Layouts agree (a product's weight is (out, in) on both sides), so renaming is all there is to do.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "model/config.h"

namespace crate {

/// A parameter here and there; "{i}" stands for the number of the layer.
struct NamePair {
  const char* ours;      // "blocks.{i}.mssa.u"
  const char* official;  // "transformer.h.{i}.attn.c_attn.weight"
};

std::span<const NamePair> name_table(Family family);

/// "blocks.3.mssa.u" -> "transformer.h.3.attn.c_attn.weight"; empty when the authors' code has no such parameter.
std::string official_name(Family family, std::string_view ours);
/// The way back; empty when no parameter of ours has that name.
std::string our_name(Family family, std::string_view official);

}  // namespace crate
