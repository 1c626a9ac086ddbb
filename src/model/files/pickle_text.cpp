#include "model/files/pickle_text.h"

#include <charconv>
#include <cstdint>

#include "base/error.h"

namespace crate {
namespace {

void append_utf8(std::string& out, uint32_t c) {
  const auto put = [&](uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 63));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 63));
    put(0x80 | (c & 63));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 63));
    put(0x80 | ((c >> 6) & 63));
    put(0x80 | (c & 63));
  }
}

uint32_t hexadecimal(std::string_view digits, std::size_t expected, const std::string& where) {
  uint32_t value = 0;
  const auto end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, value, 16);
  require(digits.size() == expected && error == std::errc() && at == end, "{}: a damaged escape in a text", where);
  return value;
}

/// Bytes of the character that starts with `first`, 0 when none does.
std::size_t sequence_length(unsigned char first) {
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t n = sequence_length(first);
    if (n == 0 || n > text.size() - i) return false;
    for (std::size_t j = 1; j < n; ++j) {
      if ((static_cast<unsigned char>(text[i + j]) & 0xC0) != 0x80) return false;
    }
    const auto second = n > 1 ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    const bool surrogate = first == 0xED && second > 0x9F, beyond = first == 0xF4 && second > 0x8F;
    if (overlong || surrogate || beyond) return false;
    i += n;
  }
  return true;
}

std::string from_raw_unicode_escape(std::string_view line, const std::string& where) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool small = line.substr(i, 2) == "\\u", large = line.substr(i, 2) == "\\U";
    if (!small && !large) {
      append_utf8(out, static_cast<unsigned char>(line[i]));
      continue;
    }
    const std::size_t digits = small ? 4 : 8;
    const uint32_t c = hexadecimal(line.substr(i + 2, digits), digits, where);
    require(c < 0x110000 && (c < 0xD800 || c > 0xDFFF), "{}: a text holds a character that does not exist", where);
    append_utf8(out, c);
    i += 1 + digits;
  }
  return out;
}

std::string from_quoted(std::string_view line, const std::string& where) {
  const bool quoted = line.size() >= 2 && line.front() == line.back() && (line[0] == '\'' || line[0] == '"');
  require(quoted, "{}: a text without its quotes", where);
  line = line.substr(1, line.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out += line[i];
      continue;
    }
    require(++i < line.size(), "{}: a damaged escape in a text", where);
    if (line[i] == 'x') {
      out += static_cast<char>(static_cast<unsigned char>(hexadecimal(line.substr(i + 1, 2), 2, where)));
      i += 2;
      continue;
    }
    constexpr std::string_view from = "\\'\"nrt", to = "\\'\"\n\r\t";
    const std::size_t k = from.find(line[i]);
    require(k != std::string_view::npos, "{}: an unknown escape in a text", where);
    out += to[k];
  }
  return out;
}

}  // namespace crate
