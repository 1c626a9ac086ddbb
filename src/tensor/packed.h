// packed: what the products of a device keep between calls: compiled kernels, and copies of weights in the blocked
// layouts that oneDNN's kernels read, made at first use after each change.
#pragma once
#include <cstdint>
#include <memory>

namespace crate {

class PackedWeights {
 public:
  PackedWeights();
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  /// All weights have new values.
  void invalidate() { ++version_; }
  uint64_t version() const { return version_; }

  /// Kernels and copies; defined beside the product that uses them.
  struct State;
  State& state() { return *state_; }

 private:
  uint64_t version_ = 1;
  std::unique_ptr<State> state_;
};

}  // namespace crate
