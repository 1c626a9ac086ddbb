// packed: copies of weights in the blocked layouts that oneDNN's kernels read, made at first use after each change.
#pragma once
#include <cstdint>

namespace crate {

class PackedWeights {
 public:
  /// All weights have new values.
  void invalidate() { ++version_; }
  uint64_t version() const { return version_; }

 private:
  uint64_t version_ = 1;
};

}  // namespace crate
