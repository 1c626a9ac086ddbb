#include "cli/sized.h"

#include <algorithm>

#include "model/presets.h"

namespace crate::cli {

void Sized::add_options(CLI::App& command) {
  command.add_option("--size", size, "preset size: tiny, small, bench, ...")->capture_default_str();
  command.add_option("--dim", dim, "instead of the preset's");
  command.add_option("--layers", layers, "instead of the preset's");
  command.add_option("--heads", heads, "instead of the preset's");
  command.add_option("--context", context, "instead of the preset's");
  command.add_option("--vocab", vocab, "instead of the preset's");
  command.add_option("--atoms", atoms, "instead of the preset's");
}

ModelConfig Sized::config(const std::string& name) const {
  const std::vector<std::string> known = preset_names();
  const bool whole = std::find(known.begin(), known.end(), name) != known.end();
  const bool images = !whole && is_family(name) && is_image(family_of(name)) && size == "bench";
  ModelConfig c = preset(whole ? name : name + "-" + (!images ? size : name == "crate-alpha" ? "s16" : "s"));
  if (dim > 0) c.dim = dim;
  if (layers > 0) c.layers = layers;
  if (heads > 0) c.heads = heads;
  if (context > 0) c.context = context;
  if (vocab > 0) c.vocab = vocab;
  if (atoms > 0) c.atoms = atoms;
  c.validate();
  return c;
}

}  // namespace crate::cli
