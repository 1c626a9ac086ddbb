// changes: the options --ablate, --scale, --set and --add, which change atoms while a model runs.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "work/steer/intervention.h"

namespace crate::cli {

struct ChangeOptions {
  std::vector<std::string> ablate, scale, set, add;

  void add_to(CLI::App& command);
  /// Throws Error when one cannot be read.
  std::vector<Intervention> parse() const;
};

}  // namespace crate::cli
