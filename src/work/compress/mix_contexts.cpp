#include "work/compress/mix_contexts.h"

#include <algorithm>
#include <string_view>

#include "work/compress/logistic.h"

namespace crate::mix {
namespace {

bool is_letter(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 128; }

uint64_t newest(uint64_t bytes, int n) { return bytes & (~uint64_t{0} >> (64 - 8 * n)); }

bool one_of(std::string_view these, uint8_t c) { return these.find(static_cast<char>(c)) != std::string_view::npos; }

}  // namespace

void TextState::add(uint8_t byte) {
  last = last << 8 | byte;
  add_letter(byte);
  if (one_of("<[{(\"", byte)) bracket = scrambled(bracket + byte) & ~uint64_t{255};
  if (one_of(">]})\n", byte)) bracket = 0;
  add_to_line(byte);
}

void TextState::add_letter(uint8_t byte) {
  if (is_letter(byte)) {
    word = scrambled(word + (byte | 32U));
    ++letters;
  } else if (letters > 0) {
    before_that = before;
    before = word;
    word = 0;
    letters = 0;
  }
}

void TextState::add_to_line(uint8_t byte) {
  if (byte == '\n') {
    above = line;
    line.fill(0);
    column = 0;
  } else {
    if (column < line.size()) line[column] = byte;
    ++column;
  }
}

std::size_t TextState::kind() const {
  const auto c = static_cast<uint8_t>(last);
  if (c == ' ') return 0;
  if (letters > 0) return 1;
  return c >= '0' && c <= '9' ? 2 : 3;
}

Opinion::Opinion(const ByteChances& model) {
  uint32_t total = 0, most = 0;
  for (std::size_t b = 0; b < 256; ++b) {
    total += model.weight[b];
    if (model.weight[b] <= most) continue;
    most = model.weight[b];
    first = static_cast<uint8_t>(b);
  }
  const auto p = static_cast<int32_t>((uint64_t{most} << 16) / total);
  sure = std::clamp((logistic::stretch(std::clamp(p, 1, 65535)) + 1024) / 160, 0, 15);
}

std::array<uint64_t, contexts> contexts_of(const TextState& s, const Opinion& o, int expected, int length) {
  const uint64_t one = newest(s.last, 1), top = o.first, sure = static_cast<uint64_t>(o.sure);
  const uint64_t above = s.above[std::min(s.column, s.above.size() - 1)];
  const uint64_t matched = static_cast<uint64_t>(expected + 1) << 4 | static_cast<uint64_t>(std::min(length, 15));
  std::array<uint64_t, contexts> c{0, one, newest(s.last, 2), newest(s.last, 3), newest(s.last, 4), newest(s.last, 5),
                                   newest(s.last, 6), newest(s.last, 8), s.word ^ one << 56,
                                   scrambled(s.word + 3 * s.before), scrambled(s.word + 5 * s.before_that),
                                   scrambled(s.word + 3 * s.before + 5 * s.before_that), newest(s.last, 3) >> 8,
                                   newest(s.last, 4) >> 8, s.bracket + one, above << 8 | one,
                                   // With the model.
                                   top << 16 | sure << 8 | one, scrambled(newest(s.last, 2) << 8 | top),
                                   scrambled(s.word << 8 | top), top << 24 | sure << 16 | matched};
  for (std::size_t k = 0; k < contexts; ++k) c[k] = scrambled(c[k] + (k + 1) * 0x632BE59BD9B4E019);
  return c;
}

}  // namespace crate::mix
