#include "work/explain/paid.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace crate {

std::vector<double> order0_shares(std::string_view text, int64_t scores) {
  require(scores >= 256, "[explain] bits of a byte are told for models that read bytes, this one has {} tokens",
          scores);
  std::vector<double> shares(static_cast<std::size_t>(scores));
  const double each = 1 / static_cast<double>(text.size() + 256);
  for (std::size_t c = 0; c < 256; ++c) shares[c] = each;
  for (const char c : text) shares[static_cast<uint8_t>(c)] += each;
  return shares;
}

Target paid_target(uint8_t byte, std::vector<double> shares) {
  Target out{.score = byte};
  out.against = std::move(shares);
  return out;
}

Payment payment_of(const Walk& walk, int64_t row) {
  const Target& target = walk.targets()[static_cast<std::size_t>(row)];
  require(!target.against.empty(), "[explain] row {} is no byte held against an average one", row);
  Payment out;
  out.model = -std::log2(walk.probability(row));
  out.order0 = -std::log2(target.against[static_cast<std::size_t>(target.score)]);
  out.apart = walk.value(row) / std::numbers::ln2;
  // H(q, p) = log2 sum_c e^l_c - sum_c q_c l_c / ln 2, and log2 p(b) = l_b / ln 2 - log2 sum_c e^l_c.
  out.price = out.apart + out.model;
  for (const double q : target.against)
    if (q > 0) out.entropy -= q * std::log2(q);
  return out;
}

}  // namespace crate
