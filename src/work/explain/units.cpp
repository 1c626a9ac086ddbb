#include "work/explain/units.h"

#include <charconv>

#include "base/error.h"

namespace crate {
namespace {

// The number that `text` begins with; `text` moves past it and the character behind it.
bool take_number(std::string_view& text, int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return false;
  const auto used = static_cast<std::size_t>(end - text.data());
  text.remove_prefix(std::min(text.size(), used + 1));
  return true;
}

}  // namespace

std::string site_of(UnitKind kind, int64_t layer, Family family) {
  const bool white = is_white_box(family);
  switch (kind) {
    case UnitKind::token:
      return is_image(family) ? "embed.patches" : "embed.tokens";
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

UnitMeaning meaning_of_units(const ModelConfig& config) {
  const std::string exact =
      "Exact up to rounding for this input, with attention patterns, norms' scales and active sets held.";
  if (has_square_code(config.family)) {
    return {"atom",
            config.ista_residual
                ? "An atom is an axis of the stream: what the sparse-coding half adds to it is the code."
                : "An atom is an axis of the stream: after each block the stream is the sparse code itself, "
                  "never negative.",
            exact};
  }
  if (has_wide_code(config.family)) {
    return {
        "atom",
        config.ista_residual
            ? "An atom is a row of the dictionary: the stream is the sum of the input, the heads and the atoms of all "
              "blocks, the atoms with weights that are never negative."
            : "An atom is a row of the dictionary: after each block the stream is a sum of atoms with weights that are "
              "never negative, and nothing else.",
        exact};
  }
  if (config.relu_units())
    return {"neuron", "A unit is a hidden ReLU neuron of the second half; it writes its column into the stream.",
            exact};
  return {"neuron", "A unit is a hidden GELU neuron, read as its gate times its pre-activation.",
          exact + " The gate is held too: it is a smooth factor, not a choice that the network makes."};
}

}  // namespace crate
