// served: the forward that serves a model, in float32, beside the same forward in float64 that was explained. An
// explanation adds up in double; what float32 rounds away is no part of it, and is told: how far the two values of the
// target are apart, and in how many entries the active sets, which the explanation holds, differ.
#pragma once
#include <string>

#include "work/explain/walk.h"

namespace crate {

struct Served {
  std::string device;                   // that served: cpu, or ref when that is what was explained
  double value = 0;                     // of the target there
  int64_t entries = 0, differ = 0;      // of codes; above 0 in one of the two forwards and not in the other
  double distance(double exact) const;  // |value - exact| / |exact|
};

/// Runs `subject`, the model that serves on the walk's only row, once more.
Served served_by(const Subject& subject, const Walk& walk);

}  // namespace crate
