#define PCRE2_CODE_UNIT_WIDTH 8
#include "work/data/split.h"

#include <pcre2.h>

#include <string>

#include "base/error.h"

namespace crate {
namespace {

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 63));
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
}

bool is_surrogate(uint32_t c) { return c >= 0xD800 && c < 0xE000; }

struct Decoded {
  uint32_t code;
  uint8_t length;  // 0: not UTF-8
};

Decoded decode(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[at + i])); };
  const auto follows = [&](std::size_t n) {
    if (at + n >= text.size()) return false;
    for (std::size_t i = 1; i <= n; ++i) {
      if ((byte(i) & 0xC0) != 0x80) return false;
    }
    return true;
  };
  const uint32_t b = byte(0);
  if (b < 0x80) return {b, 1};
  if (b >= 0xC2 && b < 0xE0 && follows(1)) return {(b & 31) << 6 | (byte(1) & 63), 2};
  if (b >= 0xE0 && b < 0xF0 && follows(2)) {
    const uint32_t c = (b & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63);
    if (c >= 0x800 && !is_surrogate(c)) return {c, 3};
  }
  if (b >= 0xF0 && b < 0xF5 && follows(3)) {
    const uint32_t c = (b & 7) << 18 | (byte(1) & 63) << 12 | (byte(2) & 63) << 6 | (byte(3) & 63);
    if (c >= 0x10000 && c < 0x110000) return {c, 4};
  }
  return {0, 0};
}

}  // namespace

// One pattern with a group a class.
struct Splitter::Classes {
  pcre2_code* code = nullptr;
  Classes() {
    int error = 0;
    PCRE2_SIZE offset = 0;
    const std::string pattern = R"((\p{L})|(\p{N})|(\s)|.)";
    code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                         PCRE2_UTF | PCRE2_UCP | PCRE2_DOTALL, &error, &offset, nullptr);
    require(code != nullptr, "[tokenizer] PCRE2 has no Unicode support (error {})", error);
  }
  ~Classes() { pcre2_code_free(code); }
};

Splitter::Splitter() : classes_(std::make_unique<Classes>()) {
  const Page* page = make_page(0);
  for (std::size_t i = 0; i < ascii_.size(); ++i) ascii_[i] = (*page)[i];
  pages_[0] = page;
}

Splitter::~Splitter() {
  for (auto& page : pages_) delete page.load();
}

const Splitter::Page* Splitter::make_page(uint32_t page) const {
  auto kinds = std::make_unique<Page>();
  kinds->fill(Kind::other);
  std::string text;
  std::array<uint8_t, 1024> index{};
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t code = page * 256 + i;
    if (is_surrogate(code) || code > 0x10FFFF) continue;
    index[text.size()] = static_cast<uint8_t>(i);
    append_utf8(text, code);
  }
  pcre2_match_data* match = pcre2_match_data_create_from_pattern(classes_->code, nullptr);
  PCRE2_SIZE at = 0;
  while (at < text.size()) {
    const int groups =
        pcre2_match(classes_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at, 0, match, nullptr);
    if (groups < 1) break;
    (*kinds)[index[at]] = groups == 2   ? Kind::letter
                          : groups == 3 ? Kind::number
                          : groups == 4 ? Kind::space
                                        : Kind::other;
    at = pcre2_get_ovector_pointer(match)[1];
  }
  pcre2_match_data_free(match);
  return kinds.release();
}

Splitter::Kind Splitter::kind_of(uint32_t code) const {
  auto& slot = pages_[code >> 8];
  const Page* page = slot.load(std::memory_order_acquire);
  if (!page) {
    const std::scoped_lock lock(mutex_);
    page = slot.load(std::memory_order_acquire);
    if (!page) slot.store(page = make_page(code >> 8), std::memory_order_release);
  }
  return (*page)[code & 255];
}

Splitter::Char Splitter::char_at(std::string_view text, std::size_t at) const {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x80) return {ascii_[byte], 1};
  const Decoded d = decode(text, at);
  if (d.length == 0) return {Kind::other, 1};
  return {kind_of(d.code), d.length};
}

std::size_t Splitter::run_end(std::string_view text, std::size_t at, Kind kind) const {
  while (at < text.size()) {
    const Char c = char_at(text, at);
    if (c.kind != kind) break;
    at += c.length;
  }
  return at;
}

// \s+(?!\S)|\s+ : all spaces at the end of the text, else all but the last one, which the next word may take.
std::size_t Splitter::spaces_end(std::string_view text, std::size_t at) const {
  const std::size_t begin = at;
  std::size_t last = at;
  while (at < text.size()) {
    const Char c = char_at(text, at);
    if (c.kind != Kind::space) break;
    last = at;
    at += c.length;
  }
  return at == text.size() || last == begin ? at : last;
}

std::size_t Splitter::word_end(std::string_view text, std::size_t at) const {
  if (text[at] == '\'' && at + 1 < text.size()) {
    const char a = text[at + 1];
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return at + 2;
    const std::string_view two = text.substr(at + 1, 2);
    if (two == "re" || two == "ve" || two == "ll") return at + 3;
  }
  const Char first = char_at(text, at);
  if (first.kind != Kind::space) return run_end(text, at + first.length, first.kind);
  if (text[at] == ' ' && at + 1 < text.size()) {
    const Char next = char_at(text, at + 1);
    if (next.kind != Kind::space) return run_end(text, at + 1 + next.length, next.kind);
  }
  return spaces_end(text, at);
}

}  // namespace crate
