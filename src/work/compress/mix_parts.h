// mix_parts: the pieces of which mixer.h is made that remember bits: histories and counters under hashed contexts, maps
// that learn what a state is worth.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace crate::mix {

/// The bits met so far in one place as a number of 8 bits: all of them up to four, then how many of each (bounded, and
/// the more of one were met, the sooner they are forgotten when the other comes) and the last. 0: none.
struct Histories {
  std::array<std::array<uint8_t, 2>, 256> next{};
  std::array<int32_t, 256> chance{};  // a first guess, in 2^-16
};
const Histories& histories();

/// One place of the tree of a byte's bits under one context.
struct Node {
  uint16_t p = 32768;  // of a 1, moving by 1 / (n + 1.5)
  uint8_t history = 0;
  uint8_t n = 0;

  void learn(bool bit, int most);
};

/// The tree of half a byte under one context; of the upper half also the byte that came last and how often in a row.
struct alignas(64) Bucket {
  uint32_t check : 19 = 0;
  uint32_t times : 5 = 0;  // 31: or more
  uint32_t byte : 8 = 0;
  std::array<Node, 15> nodes{};

  void follow(uint8_t by);
};

/// Buckets of all contexts in one table that doubles as it fills, from 4 to 256 MB.
class Counters {
 public:
  Counters();
  void prefetch(uint64_t hash) const { __builtin_prefetch(&table_[place(hash)]); }
  /// The bucket of a context, emptied of another's numbers.
  Bucket& find(uint64_t hash);
  /// Between bytes: buckets move.
  void grow_if_full();

 private:
  static constexpr int least_log = 16, most_log = 22;
  static uint32_t check_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 45); }
  // The lower bits of the check are the upper ones of the place, so that a larger table can be filled from a smaller.
  std::size_t place(uint64_t hash) const {
    return (hash & ((1U << least_log) - 1)) | (check_of(hash) & ((1U << (log_ - least_log)) - 1)) << least_log;
  }
  int log_ = least_log;
  std::size_t taken_ = 0;
  std::vector<Bucket> table_;
};

/// A probability a state, learned; states are the caller's.
class Map {
 public:
  explicit Map(std::size_t states, int most = 255) : p_(states, 1U << 31), most_(static_cast<uint32_t>(most)) {}
  /// In 2^-16, 1 to 65535.
  int32_t at(std::size_t state) const {
    const auto p = static_cast<int32_t>(p_[state] >> 16);
    return p < 1 ? 1 : p;
  }
  void set(std::size_t state, int32_t p) { p_[state] = static_cast<uint32_t>(p) << 16; }
  void learn(std::size_t state, bool bit);

 private:
  std::vector<uint32_t> p_;  // of 22 bits, and how often it was met of 10
  uint32_t most_;
};

/// p corrected under a context: between 33 places of st(p), each a learned probability.
class Correction {
 public:
  explicit Correction(std::size_t contexts, int rate = 6);
  int32_t refine(int32_t stretched, std::size_t context);
  void learn(bool bit);

 private:
  std::vector<uint16_t> p_;
  std::size_t at_ = 0;
  int rate_;
};

}  // namespace crate::mix
