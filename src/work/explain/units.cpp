#include "work/explain/units.h"

#include <charconv>

#include "base/error.h"

namespace crate {
namespace {

std::string site_of(UnitKind kind, int64_t layer, Family family) {
  const bool white = is_white_box(family);
  switch (kind) {
    case UnitKind::token:
      return "embed.tokens";
    case UnitKind::position:
      return "embed.pos";
    case UnitKind::head:
      return fmt::format("blocks.{}.{}.heads", layer, white ? "mssa" : "mha");
    case UnitKind::atom:
      return fmt::format("blocks.{}.{}", layer, white ? "ista.code" : "mlp.hidden");
    case UnitKind::logit:
      return "head.logits";
  }
  return {};
}

// The number that `text` begins with; `text` moves past it and the character behind it.
bool take_number(std::string_view& text, int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return false;
  const auto used = static_cast<std::size_t>(end - text.data());
  text.remove_prefix(std::min(text.size(), used + 1));
  return true;
}

}  // namespace

std::string name_of(const Unit& unit, Family family) {
  return fmt::format("{}:{}:{}", site_of(unit.kind, unit.layer, family), unit.position, unit.index);
}

Unit unit_of(std::string_view name, Family family) {
  Unit unit;
  std::string_view layer = name;
  if (layer.starts_with("blocks.")) {
    layer.remove_prefix(std::string_view("blocks.").size());
    if (!take_number(layer, unit.layer)) unit.layer = -1;
  }
  for (const UnitKind kind : {UnitKind::token, UnitKind::position, UnitKind::head, UnitKind::atom, UnitKind::logit}) {
    const bool inside = kind == UnitKind::head || kind == UnitKind::atom;
    const std::string site = site_of(kind, unit.layer, family) + ":";
    if (inside != (unit.layer >= 0) || !name.starts_with(site)) continue;
    std::string_view rest = name.substr(site.size());
    unit.kind = kind;
    if (take_number(rest, unit.position) && take_number(rest, unit.index) && name == name_of(unit, family)) return unit;
  }
  fail("[explain] '{}' names no unit of a {} model; a unit is a site, a position and an index, as {}", name,
       name_of(family), name_of({UnitKind::atom, 0, 5, 17}, family));
}

std::string meaning_of_units(const ModelConfig& config) {
  switch (config.family) {
    case Family::crate_gpt:
      return config.ista_residual
                 ? "an atom is an axis of what the sparse-coding half adds to the stream; exact"
                 : "an atom is an axis of the residual stream, which after each block is the sparse code itself; exact";
    case Family::crate_lm:
      return config.ista_residual ? "an atom is a dictionary row; the stream is the sum of the embedding, the heads "
                                    "and the atoms of all "
                                    "blocks; exact"
                                  : "an atom is a dictionary row; the stream after each block is a non-negative sum of "
                                    "atoms and nothing "
                                    "else; exact";
    case Family::gpt2:
      return "a unit is a hidden neuron, read as its GELU gate times its pre-activation with the gate held; the sum is "
             "exact, the gate is no unit of the network's own";
    case Family::gpt_relu:
      return "a unit is a hidden ReLU neuron; exact";
  }
  return {};
}

}  // namespace crate
