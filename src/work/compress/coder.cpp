#include "work/compress/coder.h"

#include <algorithm>

#include "work/compress/fixed.h"

namespace crate {
namespace {

// The last place of the lower part, which stands for a 1.
uint64_t cut(uint64_t low, uint64_t high, Chance one) {
  const uint64_t range = high - low;
  return low + (range >> 32) * one + ((range & 0xFFFFFFFF) * one >> 32);
}

bool agree(uint64_t low, uint64_t high) { return (low ^ high) >> 56 == 0; }

// right / total as a chance; both below 2^31, total > 0.
Chance chance_of(uint32_t right, uint32_t total) {
  const uint64_t chance = (uint64_t{right} << 32) / total;
  return static_cast<Chance>(std::clamp<uint64_t>(chance, 1, 0xFFFFFFFF));
}

}  // namespace

void BitEncoder::put(bool bit, Chance one) {
  const uint64_t middle = cut(low_, high_, one);
  if (bit)
    high_ = middle;
  else
    low_ = middle + 1;
  while (agree(low_, high_)) {
    out_.push_back(static_cast<char>(high_ >> 56));
    low_ <<= 8;
    high_ = high_ << 8 | 255;
  }
}

void BitEncoder::finish() {
  // The fewest leading bytes that, followed by zeros, lie in the interval.
  if (low_ == 0) return;
  for (int bytes = 1; bytes <= 8; ++bytes) {
    const int rest = 64 - 8 * bytes;
    const uint64_t step = uint64_t{1} << rest;
    const uint64_t up = rest == 0 ? low_ : (low_ + (step - 1)) & ~(step - 1);
    if (up < low_ || up > high_) continue;
    for (int b = 0; b < bytes; ++b) out_.push_back(static_cast<char>(up >> (56 - 8 * b)));
    return;
  }
}

BitDecoder::BitDecoder(std::string_view bytes) : bytes_(bytes) {
  for (int b = 0; b < 8; ++b) value_ = value_ << 8 | next();
}

uint64_t BitDecoder::next() {
  if (at_ < bytes_.size()) return static_cast<uint8_t>(bytes_[at_++]);
  ++beyond_;
  return 0;
}

bool BitDecoder::get(Chance one) {
  const uint64_t middle = cut(low_, high_, one);
  const bool bit = value_ <= middle;
  if (bit)
    high_ = middle;
  else
    low_ = middle + 1;
  while (agree(low_, high_)) {
    low_ <<= 8;
    high_ = high_ << 8 | 255;
    value_ = value_ << 8 | next();
  }
  return bit;
}

void LearningByte::put(BitEncoder& coder, uint8_t byte) {
  std::size_t place = 1;
  for (int b = 7; b >= 0; --b) {
    const bool bit = ((byte >> b) & 1) != 0;
    coder.put(bit, tree_[place].chance());
    tree_[place].learn(bit);
    place = 2 * place + (bit ? 1 : 0);
  }
}

uint8_t LearningByte::get(BitDecoder& coder) {
  std::size_t place = 1;
  while (place < 256) {
    const bool bit = coder.get(tree_[place].chance());
    tree_[place].learn(bit);
    place = 2 * place + (bit ? 1 : 0);
  }
  return static_cast<uint8_t>(place);
}

void ByteChances::set(const int32_t* logits) {
  const int64_t top = *std::max_element(logits, logits + 256);
  for (int b = 0; b < 256; ++b) weight[b] = (fixed::exp2_minus(top - logits[b]) >> 8) + 1;
}

uint32_t ByteChances::sum(int from, int to) const {
  uint32_t total = 0;
  for (int b = from; b < to; ++b) total += weight[b];
  return total;
}

void ByteChances::put(BitEncoder& coder, uint8_t byte) const {
  int low = 0;
  uint32_t total = sum(0, 256);
  for (int half = 128; half > 0; half /= 2) {
    const uint32_t right = sum(low + half, low + 2 * half);
    const bool bit = byte >= low + half;
    coder.put(bit, chance_of(right, total));
    total = bit ? right : total - right;
    if (bit) low += half;
  }
}

uint8_t ByteChances::get(BitDecoder& coder) const {
  int low = 0;
  uint32_t total = sum(0, 256);
  for (int half = 128; half > 0; half /= 2) {
    const uint32_t right = sum(low + half, low + 2 * half);
    const bool bit = coder.get(chance_of(right, total));
    total = bit ? right : total - right;
    if (bit) low += half;
  }
  return static_cast<uint8_t>(low);
}

}  // namespace crate
