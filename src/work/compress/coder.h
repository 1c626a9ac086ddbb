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

/// A bit that learns: the share of ones so far, later of the last few hundred.
class LearningBit {
 public:
  Chance chance() const { return p_; }
  void learn(bool bit) {
    const int64_t target = bit ? int64_t{1} << 32 : 0;
    const int64_t next = int64_t{p_} + (target - int64_t{p_}) * 2 / (2 * n_ + 3);
    p_ = static_cast<Chance>(next < least                        ? least
                             : next > (int64_t{1} << 32) - least ? (int64_t{1} << 32) - least
                                                                 : next);
    if (n_ < 500) ++n_;
  }

 private:
  static constexpr int64_t least = int64_t{1} << 20;
  Chance p_ = Chance{1} << 31;
  int32_t n_ = 0;
};

/// Bytes coded under one another's company: eight decisions each, every place of the tree of decisions a LearningBit.
class LearningByte {
 public:
  void put(BitEncoder& coder, uint8_t byte);
  uint8_t get(BitDecoder& coder);

 private:
  std::vector<LearningBit> tree_ = std::vector<LearningBit>(256);
};

/// What a byte model says of the next byte: a weight for each (integer_kernels.h makes them), whose sum stays below
/// 2^31.
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
