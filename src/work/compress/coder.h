// coder: an arithmetic coder of binary decisions, and bits that learn their own probability.
//
// The interval [low, high] of 64 bits is cut in proportion to a probability of 32 bits; bytes on which both ends agree
// are final and leave. A decision costs -log2 p bits and less than 2^-20 bit of rounding, but for rare moments in which
// the ends stay close to each other without agreeing; then decisions get dearer and stay decodable.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace crate {

/// A probability that a bit is 1 as a number of 2^-32, never 0.
using Chance = uint32_t;

class BitEncoder {
 public:
  explicit BitEncoder(std::string& out) : out_(out) {}
  void put(bool bit, Chance one);
  /// The shortest bytes that settle what was put; once, at the end.
  void finish();

 private:
  std::string& out_;
  uint64_t low_ = 0, high_ = ~uint64_t{0};
};

class BitDecoder {
 public:
  explicit BitDecoder(std::string_view bytes);
  bool get(Chance one);
  /// True when more was decoded than the bytes can hold: they were damaged.
  bool overrun() const { return beyond_ > 8; }

 private:
  uint64_t next();
  std::string_view bytes_;
  std::size_t at_ = 0, beyond_ = 0;
  uint64_t low_ = 0, high_ = ~uint64_t{0}, value_ = 0;
};

/// A bit that learns: the mean of a fast and a slow estimate.
class LearningBit {
 public:
  Chance chance() const { return ((uint32_t{fast_} + slow_) << 15) | 1; }
  void learn(bool bit) {
    fast_ = static_cast<uint16_t>(bit ? fast_ + ((65535 - fast_) >> 4) : fast_ - (fast_ >> 4));
    slow_ = static_cast<uint16_t>(bit ? slow_ + ((65535 - slow_) >> 7) : slow_ - (slow_ >> 7));
  }

 private:
  uint16_t fast_ = 32768, slow_ = 32768;
};

/// Bytes coded under one another's company: eight decisions each, every place of the tree of decisions a LearningBit.
class LearningByte {
 public:
  void put(BitEncoder& coder, uint8_t byte);
  uint8_t get(BitDecoder& coder);

 private:
  std::vector<LearningBit> tree_ = std::vector<LearningBit>(256);
};

/// What a byte model says of the next byte: a weight for each (integer_kernels.h makes them), whose sum stays below 2^31.
struct ByteChances {
  uint32_t weight[256];

  void put(BitEncoder& coder, uint8_t byte) const;
  uint8_t get(BitDecoder& coder) const;
};

/// The same as eight decisions, from the highest bit down.
class ByteTree {
 public:
  explicit ByteTree(const ByteChances& of);
  /// That the next bit is 1.
  Chance chance();
  void take(bool bit);

 private:
  const ByteChances& of_;
  uint32_t sixteen_[32];  // a heap: the sums of 16 weights are its leaves
  int place_ = 1, low_ = 0, half_ = 8;
  uint32_t total_, right_ = 0;
};

}  // namespace crate
