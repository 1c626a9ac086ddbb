// build: from a model and a corpus to the index file.
#pragma once
#include <functional>
#include <map>
#include <string>

#include "work/atoms/name.h"
#include "work/atoms/observation.h"

namespace crate {

struct BuildOptions {
  NameOptions names;
  std::map<std::string, std::string> about;  // more lines for the table of that name: the model's path, its hash
  std::function<void(int64_t layers_done, int64_t layers)> progress = {};  // of naming
};

struct BuildSummary {
  int64_t atoms = 0, silent = 0, guessed = 0, named = 0, tokens = 0, documents = 0;
  double read_seconds = 0, seconds = 0;
  double mean_score = 0;  // of the names' held-out correlation, over all atoms; silent and unnamed ones count 0
};

/// Lets the model read, then writes a new file, all of it or nothing. Throws Error.
BuildSummary build_index(Observation& seen, const std::string& path, const BuildOptions& options);

}  // namespace crate
