// trace: a run's tape as a table: operator, shape, time, work, rate.
#pragma once
#include "run/run.h"

namespace crate::cli {

/// To stderr, so that --json stays alone on stdout.
void print_trace(const Run& run);

}  // namespace crate::cli
