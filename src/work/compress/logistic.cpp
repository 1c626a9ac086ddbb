#include "work/compress/logistic.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "work/compress/fixed.h"

namespace crate::logistic {
namespace {

// Finely where p is close to 0 or 1, in steps of 16 elsewhere.
constexpr int32_t fine = 2048;
struct Tables {
  std::vector<int16_t> low, high, middle;
  std::vector<uint16_t> squashed;

  static int16_t exact(double p) {
    return static_cast<int16_t>(
        std::clamp(std::floor(256 * fixed::log_of(p / (65536 - p)) + 0.5), -1.0 * widest, 1.0 * widest));
  }
  Tables() {
    for (int32_t p = 0; p < fine; ++p) {
      low.push_back(exact(std::max(p, 1)));
      high.push_back(exact(65536 - fine + p));
    }
    for (int32_t p = 0; p < 4096; ++p) middle.push_back(exact(16 * p + 8));
    for (int32_t x = -widest; x <= widest; ++x)
      squashed.push_back(
          static_cast<uint16_t>(std::clamp(std::floor(65536 / (1 + fixed::exp_of(-x / 256.0)) + 0.5), 1.0, 65535.0)));
  }
};

const Tables& tables() {
  static const Tables made;
  return made;
}

}  // namespace

int32_t stretch(int32_t p) {
  const Tables& t = tables();
  if (p < fine) return t.low[static_cast<std::size_t>(p)];
  if (p >= 65536 - fine) return t.high[static_cast<std::size_t>(p - (65536 - fine))];
  return t.middle[static_cast<std::size_t>(p >> 4)];
}

int32_t squash(int32_t x) {
  const int32_t place = std::clamp(x, -widest, widest) + widest;
  return tables().squashed[static_cast<std::size_t>(place)];
}

double cost(int32_t p) { return -std::log2(p / 65536.0); }

}  // namespace crate::logistic
