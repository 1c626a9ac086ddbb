#include "work/compress/mix_model.h"

#include "work/compress/logistic.h"

namespace crate::mix {

void ModelInputs::collect(int32_t p, const TextState& text, std::size_t prefix, int16_t* x) {
  const auto under = [prefix](uint64_t context) { return scrambled(scrambled(context) + prefix) >> (64 - hash_bits); };
  const std::array<std::size_t, corrections> at{prefix, (text.last & 255) << 8 | prefix, under(text.last & 65535),
                                                under(text.word + 77), under(text.word + 7 * text.before)};
  const int32_t said = logistic::stretch(p);
  x[0] = static_cast<int16_t>(said);
  x[1] = static_cast<int16_t>((p - 32768) / 32);
  for (std::size_t k = 0; k < corrections; ++k)
    x[plain + k] = static_cast<int16_t>(logistic::stretch(by_[k].refine(said, at[k])));
}

void ModelInputs::learn(bool bit) {
  for (Correction& c : by_) c.learn(bit);
}

}  // namespace crate::mix
