// units: what an explanation speaks of. A unit is named by site, position and index, "blocks.3.ista.code:17:205":
//
//   embed.tokens:P:T           the embedding of token T at position P
//   embed.pos:P:P              the position's own embedding
//   embed.patches:P:P          the embedded patch at position P of an image, where 0 may be the class token
//   blocks.L.mssa.heads:P:H    the output of head H at position P (twins: mha.heads)
//   blocks.L.ista.code:P:A     atom A at position P (twins: mlp.hidden)
//   head.logits:P:T            the logit of token T after position P
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/config.h"

namespace crate {

enum class UnitKind : uint8_t { token, position, head, atom, logit };

struct Unit {
  UnitKind kind = UnitKind::logit;
  int64_t layer = -1;  // of heads and atoms
  int64_t position = 0;
  int64_t index = 0;
  auto operator<=>(const Unit&) const = default;
};

/// "blocks.3.ista.code"; `layer` counts for heads and atoms only.
std::string site_of(UnitKind kind, int64_t layer, Family family);
std::string name_of(const Unit& unit, Family family);
/// Throws Error when the text is no name of a unit of this family.
Unit unit_of(std::string_view name, Family family);

/// What a unit of the family is and how exact a sum over them is: printed with every explanation.
struct UnitMeaning {
  std::string name;       // "atom", "neuron"
  std::string what;       // a sentence
  std::string exactness;  // a sentence
};
UnitMeaning meaning_of_units(const ModelConfig& config);

}  // namespace crate
