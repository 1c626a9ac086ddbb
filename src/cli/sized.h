// sized: the options that name a model of random weights, by family and sizes; for measuring speed.
#pragma once
#include <string>

#include "cli/command.h"
#include "model/config.h"

namespace crate::cli {

/// A number not above 0 leaves what the preset has.
struct Sized {
  std::string size = "bench";
  int64_t dim = 0, layers = 0, heads = 0, context = 0, vocab = 0, atoms = 0;

  void add_options(CLI::App& command);
  /// A preset by its whole name, or a family at `size`, for which CRATE-S stands where families of images have no
  /// "bench". Throws Error.
  ModelConfig config(const std::string& name) const;
};

}  // namespace crate::cli
