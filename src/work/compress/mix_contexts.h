// mix_contexts: under what of a stream's text, and of the model's opinion, bits are counted.
#pragma once
#include <array>
#include <cstdint>

#include "work/compress/coder.h"

namespace crate::mix {

inline constexpr std::size_t text_contexts = 16, model_contexts = 4, contexts = text_contexts + model_contexts;
inline constexpr std::size_t matched_context = contexts - 1;  // holds what the match expects, too

inline uint64_t scrambled(uint64_t x) {
  x *= 0x9E3779B97F4A7C15;
  return (x ^ x >> 29) * 0xBF58476D1CE4E5B9;
}

/// The text of one stream so far, as far as contexts need it.
struct TextState {
  uint64_t last = 0;                               // bytes, the newest lowest
  uint64_t word = 0, before = 0, before_that = 0;  // hashes of the letters since the last other byte, of words before
  uint32_t letters = 0;                            // of the word
  uint64_t bracket = 0;                            // hash of those that were opened since one was closed
  std::size_t column = 0;
  std::array<uint8_t, 256> above{}, line{};  // the line before, and this one

  void add(uint8_t byte);
  /// Of the last byte: 0 a space, 1 a letter, 2 a digit, 3 another.
  std::size_t kind() const;

 private:
  void add_letter(uint8_t byte);
  void add_to_line(uint8_t byte);
};

/// What the model thinks most likely, and how likely (0 to 15).
struct Opinion {
  uint8_t first = 0;
  int sure = 0;

  Opinion() = default;
  explicit Opinion(const ByteChances& model);
};

/// Hashes of the contexts of the next byte; `expected` by the match, or -1, which is `length` long.
std::array<uint64_t, contexts> contexts_of(const TextState& s, const Opinion& o, int expected, int length);

}  // namespace crate::mix
