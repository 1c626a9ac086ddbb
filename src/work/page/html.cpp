#include "work/page/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"
#include "base/sha256.h"

namespace crate {
namespace {

struct Char {
  uint32_t code;
  std::size_t length;
};

constexpr uint32_t replacement = 0xFFFD;

// One character of UTF-8 in its shortest form; anything else is one byte and the replacement.
Char char_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  const uint32_t first = byte(at);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + length > text.size()) return {replacement, 1};
  uint32_t code = first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return {replacement, 1};
    code = code << 6 | (byte(at + i) & 0x3F);
  }
  constexpr uint32_t shortest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool good = code >= shortest[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
  return good ? Char{code, length} : Char{replacement, 1};
}

bool unseen(uint32_t c) {
  return (c >= 0x80 && c < 0xA0) || c == 0xAD || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

std::string control_picture(uint32_t c) {  // U+2400 + c
  return {'\xE2', '\x90', static_cast<char>(0x80 + c)};
}

std::string sha256_base64(std::string_view text) {
  const std::string hex = sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return base64(bytes);
}

}  // namespace

std::string visible_text(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const Char c = char_at(text, i);
    if (c.code == '\n')
      out += "↵";
    else if (c.code == '\t')
      out += "⇥";
    else if (c.code < 0x20)
      out += control_picture(c.code);
    else if (c.code == 0x7F)
      out += "␡";
    else if (unseen(c.code))
      out += fmt::format("‹{:04X}›", c.code);
    else if (c.code == replacement)
      out += "\xEF\xBF\xBD";
    else
      out += text.substr(i, c.length);
    i += c.length;
  }
  return out;
}

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : visible_text(text)) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string token_html(std::string_view token, std::string_view extra_class) {
  const std::size_t first = token.find_first_not_of(' ');
  const std::size_t last = token.find_last_not_of(' ');
  std::string text;
  const auto dots = [&](std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) text += "·";
  };
  if (first == std::string_view::npos) {
    dots(token.size());
  } else {
    dots(first);
    text += html_text(token.substr(first, last - first + 1));
    dots(token.size() - 1 - last);
  }
  if (text.empty()) text = "∅";
  return fmt::format("<span class=\"token{}{}\">{}</span>", extra_class.empty() ? "" : " ", extra_class, text);
}

std::string number_text(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  if (value == 0) return "0";
  const double size = std::abs(value);
  std::string text =
      size >= 1e5 || size < 1e-3 ? fmt::format("{:.{}e}", size, digits - 1) : fmt::format("{:.{}g}", size, digits);
  if (size >= 1e-3 && size < 1e5 && text.find('e') != std::string::npos) text = fmt::format("{:.0f}", size);
  return (value < 0 ? "−" : "") + text;
}

std::string signed_text(double value, int digits) { return (value > 0 ? "+" : "") + number_text(value, digits); }

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j) three = three << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) out += j <= n ? digits[three >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::string json_for_html(const nlohmann::json& value) {
  std::string out;
  for (const char c : value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)) {
    if (c == '<' || c == '>' || c == '&')
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out;
}

std::string fill_template(std::string_view text, const std::map<std::string, std::string, std::less<>>& values) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t open = text.find("{{"); open != std::string_view::npos; open = text.find("{{", at)) {
    const std::size_t close = text.find("}}", open);
    require(close != std::string_view::npos, "[web] a page part has an open {{{{ without its }}}}");
    const auto it = values.find(text.substr(open + 2, close - open - 2));
    require(it != values.end(), "[web] nothing was given for '{}' of a page", text.substr(open + 2, close - open - 2));
    out += text.substr(at, open - at);
    out += it->second;
    at = close + 2;
  }
  out += text.substr(at);
  return out;
}

std::string content_policy(std::string_view style, std::string_view script) {
  const std::string scripts = script.empty() ? "'none'" : fmt::format("'sha256-{}'", sha256_base64(script));
  return fmt::format(
      "default-src 'none'; script-src {}; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
      scripts, sha256_base64(style));
}

}  // namespace crate
