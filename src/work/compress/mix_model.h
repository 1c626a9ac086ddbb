// mix_model: what the model says of the next bit, as it is and as it was worth under several contexts.
#pragma once
#include <array>
#include <cstdint>

#include "work/compress/mix_contexts.h"
#include "work/compress/mix_parts.h"

namespace crate::mix {

class ModelInputs {
 public:
  static constexpr std::size_t corrections = 5, count = 2 + corrections, plain = 2;  // two know nothing of the text

  void collect(int32_t p, const TextState& text, std::size_t prefix, int16_t* x);
  void learn(bool bit);

 private:
  // By the bits of the byte so far, with the last byte, the last two, the word, it and the word before.
  std::array<Correction, corrections> by_{Correction(1 << 8, 6), Correction(1 << 16, 6), Correction(hashed, 4),
                                          Correction(hashed, 4), Correction(hashed, 4)};
  static constexpr int hash_bits = 18;
  static constexpr std::size_t hashed = std::size_t{1} << hash_bits;
};

}  // namespace crate::mix
