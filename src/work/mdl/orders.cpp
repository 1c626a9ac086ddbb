#include "work/mdl/orders.h"

#include <cmath>
#include <vector>

#include "base/error.h"
#include "work/compress/coder.h"

namespace crate {

double adaptive_bits(std::string_view text, int order) {
  require(order >= 0 && order <= 2, "[mdl] an order of 0 to 2 is counted, came {}", order);
  const std::size_t contexts = std::size_t{1} << (8 * order);
  std::vector<LearningBit> bits(contexts * 256);
  std::size_t context = 0;
  double paid = 0;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    std::size_t place = 1;
    for (int b = 7; b >= 0; --b) {
      const bool bit = (byte >> b & 1) != 0;
      LearningBit& one = bits[context * 256 + place];
      const double p = std::ldexp(static_cast<double>(one.chance()), -32);
      paid -= std::log2(bit ? p : 1 - p);
      one.learn(bit);
      place = 2 * place + (bit ? 1 : 0);
    }
    context = (context << 8 | byte) & (contexts - 1);
  }
  return paid;
}

}  // namespace crate
