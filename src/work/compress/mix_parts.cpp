#include "work/compress/mix_parts.h"

#include <algorithm>

#include "work/compress/mixer.h"

namespace crate::mix {

Bucket& Counters::find(uint64_t hash) {
  const auto check = static_cast<uint16_t>(hash >> 48 | 1);
  const std::size_t i = (hash >> 20) & (table_.size() - 1);
  Bucket *first = &table_[i], *second = &table_[i ^ 1];
  if (first->check == check) return *first;
  if (second->check == check) return *second;
  // The one that was met less goes.
  Bucket& to = (first->bits[0] & 15) <= (second->bits[0] & 15) ? *first : *second;
  to.check = check;
  to.bits.fill(2048 << 4);
  return to;
}

void learn(uint16_t& counter, bool bit) {
  // Shares of the way to the bit after n meetings: about 1 / (n + 1.5), in Q16.
  constexpr int32_t share[16] = {43690, 26214, 18724, 14563, 11915, 10082, 8738, 7710,
                                 6898,  6241,  5698,  5242,  4854,  4519,  4228, 3971};
  const int32_t n = counter & 15, p = counter >> 4, target = bit ? 4095 : 0;
  const int32_t moved = p + ((target - p) * share[n] + 32768) / 65536;
  counter = static_cast<uint16_t>(moved << 4 | std::min(n + 1, 15));
}

Correction::Correction(std::size_t contexts) : p_(contexts * 33) {
  for (std::size_t i = 0; i < p_.size(); ++i)
    p_[i] = static_cast<uint16_t>(logistic::squash((static_cast<int32_t>(i % 33) - 16) * 160));
}

int32_t Correction::refine(int32_t stretched, std::size_t context) {
  const int32_t place = std::clamp(stretched, -2559, 2559) + 2560, low = place / 160, rest = place % 160;
  const std::size_t at = context * 33 + static_cast<std::size_t>(low);
  at_ = rest < 80 ? at : at + 1;
  return std::clamp((p_[at] * (160 - rest) + p_[at + 1] * rest) / 160, 1, 65535);
}

void Correction::learn(bool bit) { p_[at_] = static_cast<uint16_t>(p_[at_] + (((bit ? 65535 : 0) - p_[at_]) >> 6)); }

Weights::Weights(int count, std::size_t sets, int32_t first, int rate)
    : count_(count), rate_(rate), w_(static_cast<std::size_t>(count) * sets, first) {}

int32_t Weights::sum(const int32_t* x, std::size_t set) {
  at_ = set * static_cast<std::size_t>(count_);
  int64_t sum = 0;
  for (int i = 0; i < count_; ++i) sum += int64_t{w_[at_ + static_cast<std::size_t>(i)]} * x[i];
  return static_cast<int32_t>(std::clamp<int64_t>(sum >> 16, -2840, 2840));
}

void Weights::learn(const int32_t* x, int32_t error) {
  constexpr int32_t most = 16 << 16;
  for (int i = 0; i < count_; ++i) {
    int32_t& w = w_[at_ + static_cast<std::size_t>(i)];
    const int64_t step = (int64_t{x[i]} * error * rate_ + (1 << 15)) >> 16;
    w = static_cast<int32_t>(std::clamp<int64_t>(w + step, -most, most));
  }
}

Net::Net()
    : first_{Weights(inputs, 256, 65536 / 6, 2), Weights(inputs, 72, 65536 / 6, 2), Weights(inputs, 256, 65536 / 6, 2),
             Weights(inputs, 96, 65536 / 6, 2)},
      second_(4, 256, 65536 / 4, 1) {}

int32_t Net::mix(const int32_t* x, uint32_t mask, const std::array<std::size_t, 4>& sets, std::size_t last_set) {
  for (int i = 0; i < inputs; ++i) x_[static_cast<std::size_t>(i)] = (mask >> i & 1) != 0 ? x[i] : 0;
  for (std::size_t k = 0; k < 4; ++k) middle_[k] = first_[k].sum(x_.data(), sets[k]);
  out_ = second_.sum(middle_.data(), last_set);
  return logistic::squash(out_);
}

void Net::learn(bool bit) {
  const int32_t target = bit ? 65535 : 0;
  for (std::size_t k = 0; k < 4; ++k) first_[k].learn(x_.data(), target - logistic::squash(middle_[k]));
  second_.learn(middle_.data(), target - logistic::squash(out_));
}

void Match::begin(std::size_t streams) {
  first_ = texts_.size();
  texts_.resize(first_ + streams);
  at_.assign(streams, {});
}

uint8_t Match::expected(std::size_t stream) const { return texts_[at_[stream].text][at_[stream].at]; }

void Match::add(std::size_t stream, uint8_t byte, uint64_t last) {
  Place& p = at_[stream];
  if (p.length > 0 && expected(stream) == byte) {
    p.length = std::min(p.length + 1, most);
    ++p.at;
  } else {
    p.length = 0;
  }
  std::vector<uint8_t>& text = texts_[first_ + stream];
  text.push_back(byte);
  if (text.size() < least) return;
  const uint64_t hash = (last & 0xFFFFFFFFFFFF) * 0x9E3779B97F4A7C15;
  Place& head = heads_[hash >> (64 - log_size)];
  if (p.length == 0 && known(head) && !(head.text == first_ + stream && head.at + 1 >= text.size())) {
    p = head;
    // Hashes meet by chance: how far do the texts agree?
    const std::vector<uint8_t>& other = texts_[p.text];
    std::size_t n = 0;
    while (n < 32 && n < p.at && n < text.size() && other[p.at - 1 - n] == text[text.size() - 1 - n]) ++n;
    p.length = n >= least ? static_cast<int>(n) : 0;
  }
  if (p.length > 0 && !known(p)) p.length = 0;
  head = {static_cast<uint32_t>(first_ + stream), static_cast<uint32_t>(text.size()), 0};
}

}  // namespace crate::mix
