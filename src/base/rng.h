// rng: addressed randomness. A number is a function of (seed, stream, major, minor), never of what was drawn before, so
// weights and batches are the same on every device, in every order and for every thread count.
// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once
#include <array>
#include <cstdint>

namespace crate {

/// Who asks: two streams never share numbers.
enum class Stream : uint32_t {
  init = 1,
  data = 2,
  dropout = 3,
  sample = 4,
  test = 5,
  train_bpe = 6,
  rotation = 7,
  shuffle = 16,
  augment = 17,
  mix = 18,
  scene = 19
};

class Rng {
 public:
  Rng(uint64_t seed, Stream stream) : seed_(seed), stream_(static_cast<uint32_t>(stream)) {}

  /// 128 random bits at the address (major, minor); major below 2^32.
  std::array<uint32_t, 4> block(uint64_t major, uint64_t minor) const;
  uint64_t bits(uint64_t major, uint64_t minor) const;
  /// In [0, 1), 53 random bits.
  double uniform(uint64_t major, uint64_t minor) const;
  /// Standard normal (Box and Muller).
  double normal(uint64_t major, uint64_t minor) const;
  /// In [0, n), n > 0; the bias is below n / 2^64.
  uint64_t below(uint64_t n, uint64_t major, uint64_t minor) const;

 private:
  uint64_t seed_;
  uint32_t stream_;
};

}  // namespace crate
