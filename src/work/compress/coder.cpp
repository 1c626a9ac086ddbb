#include "work/compress/coder.h"

#include <algorithm>

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

void ByteChances::put(BitEncoder& coder, uint8_t byte) const {
  ByteTree tree(*this);
  for (int place = 7; place >= 0; --place) {
    const bool bit = (byte >> place & 1) != 0;
    coder.put(bit, tree.chance());
    tree.take(bit);
  }
}

uint8_t ByteChances::get(BitDecoder& coder) const {
  ByteTree tree(*this);
  int byte = 0;
  for (int place = 7; place >= 0; --place) {
    const bool bit = coder.get(tree.chance());
    tree.take(bit);
    byte = 2 * byte + (bit ? 1 : 0);
  }
  return static_cast<uint8_t>(byte);
}

ByteTree::ByteTree(const ByteChances& of) : of_(of) {
  for (int k = 0; k < 16; ++k) {
    uint32_t sum = 0;
    for (int b = 0; b < 16; ++b) sum += of.weight[16 * k + b];
    sixteen_[16 + k] = sum;
  }
  for (int k = 15; k > 0; --k) sixteen_[k] = sixteen_[2 * k] + sixteen_[2 * k + 1];
  total_ = sixteen_[1];
}

Chance ByteTree::chance() {
  if (place_ < 16) {
    right_ = sixteen_[2 * place_ + 1];
  } else {
    right_ = 0;
    for (int b = low_ + half_; b < low_ + 2 * half_; ++b) right_ += of_.weight[b];
  }
  return chance_of(right_, total_);
}

void ByteTree::take(bool bit) {
  total_ = bit ? right_ : total_ - right_;
  if (place_ < 16) {
    place_ = 2 * place_ + (bit ? 1 : 0);
    low_ = 16 * (place_ - 16);  // once it is a leaf
    return;
  }
  if (bit) low_ += half_;
  half_ /= 2;
}

}  // namespace crate
