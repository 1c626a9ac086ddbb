#include "work/compress/mix_match.h"

#include <algorithm>

#include "work/compress/logistic.h"

namespace crate::mix {

void Texts::begin(std::size_t streams) {
  first_ = texts_.size();
  texts_.resize(first_ + streams);
}

int Match::expected(std::size_t stream) const {
  const Place& p = at_[stream].place;
  return p.at > 0 && known(p) ? texts_.of(p.text)[p.at] : -1;
}

// How many bytes before the place are those at the end of the text, as far as that matters.
int Match::agreeing(const Place& p, const std::vector<uint8_t>& text) const {
  const std::vector<uint8_t>& other = texts_.of(p.text);
  std::size_t n = 0;
  while (n < 48 && n < p.at && n < text.size() && other[p.at - 1 - n] == text[text.size() - 1 - n]) ++n;
  return static_cast<int>(n);
}

void Match::follow(Following& now, bool right) const {
  now.failed = (now.failed << 1 | (right ? 0 : 1)) & 255;
  now.length = right ? std::min(now.length + 1, most) : 0;
  ++now.place.at;
  if (!known(now.place) || now.failed == 255) now = {};
}

void Match::add(std::size_t stream, uint8_t byte) {
  Following& now = at_[stream];
  if (now.place.at > 0) follow(now, expected(stream) == byte);
  const std::size_t number = texts_.number(stream);
  const std::vector<uint8_t>& text = texts_.of(number);
  if (text.size() < least_) return;
  uint64_t hash = 0;
  for (std::size_t i = 1; i <= least_; ++i) hash = (hash + text[text.size() - i] + 1) * 0x9E3779B97F4A7C15;
  Place& head = heads_[hash >> (64 - log_size)];
  if (now.length < static_cast<int>(least_) && head.at > 0 && known(head)) {
    const int n = agreeing(head, text);  // hashes meet by chance
    if (n >= static_cast<int>(least_)) now = {head, n, 0};
  }
  head = {static_cast<uint32_t>(number), static_cast<uint32_t>(text.size())};
}

MatchInputs::MatchInputs(const Texts& texts, std::size_t least) : match_(texts, least), worth_(levels * 8 * 8) {}

void MatchInputs::begin_byte(std::size_t stream) {
  byte_ = match_.expected(stream);
  const int n = length_ = match_.length(stream);
  failed_ = match_.failed(stream) & 7;
  const int at = n < 16 ? n : n < 32 ? 12 + n / 4 : n < 64 ? 16 + n / 8 : n < 512 ? 23 + n / 64 : 31;
  level_ = static_cast<std::size_t>(at);
}

void MatchInputs::collect(int place, int16_t* x) {
  x[0] = x[1] = 0;
  if (!expects()) return;
  state_ = (level_ * 8 + static_cast<std::size_t>(failed_)) * 8 + static_cast<std::size_t>(place);
  const int32_t p = worth_.at(state_), sign = bit(place) ? 1 : -1;
  x[0] = static_cast<int16_t>(sign * logistic::stretch(p));
  x[1] = static_cast<int16_t>(sign * (p - 32768) / 32);
}

void MatchInputs::learn(int place, bool next) {
  if (!expects()) return;
  worth_.learn(state_, bit(place) == next);
  if (bit(place) != next) byte_ = -1;
}

}  // namespace crate::mix
