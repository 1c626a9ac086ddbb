// mix_counts: what the bits met under every context say of the next one.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "work/compress/mix_contexts.h"
#include "work/compress/mix_parts.h"

namespace crate::mix {

class Counts {
 public:
  static constexpr std::size_t per = 3;  // inputs a context: by its history, by its counter, by the byte that came last

  Counts();
  /// A byte begins.
  void begin(const std::array<uint64_t, contexts>& hashes);
  /// Inputs of the next bit; `prefix`: a 1 and the bits of the byte so far. How many contexts of text were met before.
  std::size_t collect(std::size_t prefix, int place, int16_t* x);
  void learn(bool bit);
  void end(uint8_t byte);

 private:
  struct State {
    bool met = false;
    std::size_t history = 0, counter = 0, run = 0;
  };
  void open(std::size_t prefix);
  void collect(std::size_t k, std::size_t prefix, int place, int16_t* x);

  Counters counters_;
  std::vector<Map> histories_, counted_, runs_;  // what they are worth, a context each
  std::array<uint64_t, contexts> hashes_{};
  std::array<Bucket*, contexts> heads_{}, buckets_{};
  std::array<State, contexts> states_{};
  std::size_t node_ = 0;  // of half a byte
};

}  // namespace crate::mix
