#include "work/compress/mix_parts.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/error.h"
#include "work/compress/logistic.h"

namespace crate::mix {
namespace {

struct Seen {
  int zeros = 0, ones = 0, bits = 1;  // the bits themselves behind a leading 1
  bool operator<(const Seen& s) const { return std::tie(zeros, ones, bits) < std::tie(s.zeros, s.ones, s.bits); }
};

constexpr int exact = 4;  // bits that are kept as they are

Seen after(Seen s, bool bit) {
  constexpr int bound[5] = {30, 20, 10, 7, 5};  // of the more frequent bit, by how often the other was met
  int &same = bit ? s.ones : s.zeros, &other = bit ? s.zeros : s.ones;
  ++same;
  if (other > 3) other = 3 + (other - 3) / 4;
  const int fewer = std::min({same, other, 4});
  same = std::min(same, bound[fewer]);
  other = std::min(other, bound[fewer]);
  const bool all = s.zeros + s.ones <= exact && s.bits < (1 << exact);
  s.bits = all ? 2 * s.bits + (bit ? 1 : 0) : (1 << (exact + 1)) + (bit ? 1 : 0);
  return s;
}

Histories made() {
  Histories h;
  std::map<Seen, std::size_t> number{{Seen{}, 0}};
  std::vector<Seen> all{Seen{}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Seen s = all[i];
    h.chance[i] = (2 * s.ones + 1) * 65536 / (2 * (s.zeros + s.ones) + 2);
    for (const bool bit : {false, true}) {
      const Seen t = after(s, bit);
      const auto [at, fresh] = number.try_emplace(t, all.size());
      if (fresh) all.push_back(t);
      h.next[i][bit ? 1 : 0] = static_cast<uint8_t>(at->second);
    }
  }
  require(all.size() <= h.next.size(), "{} histories of bits do not fit a byte", all.size());
  return h;
}

// 65536 / (n + 1.5).
struct Shares {
  std::array<int32_t, 256> of{};
  Shares() {
    for (int n = 0; n < 256; ++n) of[static_cast<std::size_t>(n)] = 131072 / (2 * n + 3);
  }
};
const Shares shares;

}  // namespace

const Histories& histories() {
  static const Histories all = made();
  return all;
}

void Node::learn(bool bit, int most) {
  const int32_t target = bit ? 65535 : 0;
  p = static_cast<uint16_t>(p + ((target - p) * int64_t{shares.of[n]} >> 16));
  if (n < most) ++n;
}

void Bucket::follow(uint8_t by) {
  times = times > 0 && byte == by ? std::min<uint32_t>(times + 1, 31) : 1;
  byte = by;
}

Counters::Counters() {
  table_.reserve(std::size_t{1} << most_log);  // so that it grows where it is; what is not used yet takes no memory
  table_.resize(std::size_t{1} << least_log);
}

Bucket& Counters::find(uint64_t hash) {
  const uint32_t check = check_of(hash);
  const std::size_t i = place(hash);
  Bucket *first = &table_[i], *second = &table_[i ^ 1];
  if (first->check == check) return *first;
  if (second->check == check) return *second;
  // The one that was met less goes.
  Bucket& to = first->nodes[0].n <= second->nodes[0].n ? *first : *second;
  if (to.nodes[0].n == 0) ++taken_;
  to = Bucket{};
  to.check = check;
  return to;
}

void Counters::grow_if_full() {
  if (log_ == most_log || taken_ < table_.size() / 2) return;
  const std::size_t half = table_.size();
  table_.resize(2 * half);
  for (std::size_t i = 0; i < half; ++i) {
    if ((table_[i].check >> (log_ - least_log) & 1) == 0) continue;
    table_[half + i] = table_[i];
    table_[i] = Bucket{};
  }
  ++log_;
}

void Map::learn(std::size_t state, bool bit) {
  uint32_t& p = p_[state];
  const uint32_t n = p & 1023;
  const int64_t now = p >> 10, target = bit ? (1 << 22) - 1 : 0;
  const int64_t next = now + ((target - now) * shares.of[std::min<uint32_t>(n, 255)] >> 16);
  p = static_cast<uint32_t>(next) << 10 | (n < most_ ? n + 1 : n);
}

Correction::Correction(std::size_t contexts, int rate) : p_(contexts * 33), rate_(rate) {
  std::array<uint16_t, 33> same{};
  for (int32_t i = 0; i < 33; ++i)
    same[static_cast<std::size_t>(i)] = static_cast<uint16_t>(logistic::squash((i - 16) * 160));
  for (std::size_t i = 0; i < p_.size(); i += same.size()) std::copy_n(same.data(), same.size(), &p_[i]);
}

int32_t Correction::refine(int32_t stretched, std::size_t context) {
  const int32_t place = std::clamp(stretched, -2559, 2559) + 2560, low = place / 160, rest = place % 160;
  const std::size_t at = context * 33 + static_cast<std::size_t>(low);
  at_ = rest < 80 ? at : at + 1;
  return std::clamp((p_[at] * (160 - rest) + p_[at + 1] * rest) / 160, 1, 65535);
}

void Correction::learn(bool bit) {
  p_[at_] = static_cast<uint16_t>(p_[at_] + (((bit ? 65535 : 0) - p_[at_]) >> rate_));
}

}  // namespace crate::mix
