// draws: the random numbers of one image in one epoch, drawn one after the other. They are addressed by (seed, stream,
// epoch, item, view), so that an image is augmented alike by whichever thread, and a resumed run draws what the first
// would have.
#pragma once
#include <cmath>
#include <cstdint>

#include "base/rng.h"

namespace crate {

class Draws {
 public:
  /// item below 2^32, view below 2^8.
  Draws(uint64_t seed, Stream stream, uint64_t epoch, uint64_t item, uint64_t view = 0)
      : rng_(seed, stream), major_(epoch), next_(item << 32 | view << 24) {}

  /// In [0, 1).
  double uniform() { return rng_.uniform(major_, next_++); }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// In [0, n).
  int below(int n) { return static_cast<int>(rng_.below(static_cast<uint64_t>(n), major_, next_++)); }
  bool chance(double probability) { return uniform() < probability; }
  double normal() { return rng_.normal(major_, next_++); }
  /// Of the Gamma distribution with shape a and scale 1 (Marsaglia and Tsang, 2000).
  double gamma(double a) {
    if (a < 1) return gamma(a + 1) * std::pow(1 - uniform(), 1 / a);
    const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
      const double x = normal(), v = std::pow(1 + c * x, 3);
      if (v > 0 && std::log(1 - uniform()) < x * x / 2 + d - d * v + d * std::log(v)) return d * v;
    }
  }
  /// Of the Beta distribution.
  double beta(double a, double b) {
    const double x = gamma(a), y = gamma(b);
    return x + y > 0 ? x / (x + y) : 0.5;
  }

 private:
  Rng rng_;
  uint64_t major_, next_;
};

}  // namespace crate
