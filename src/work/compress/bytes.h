// bytes: numbers in and out of strings of bytes, for the archive and the packed model. Reading checks every length.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace crate {

/// Seven bits a byte, the lowest first; the last byte has its highest bit clear.
inline void put_varint(std::string& out, uint64_t x) {
  for (; x >= 128; x >>= 7) out.push_back(static_cast<char>(x | 128));
  out.push_back(static_cast<char>(x));
}

class ByteReader {
 public:
  ByteReader(std::string_view bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  std::string_view take(uint64_t n) {
    require(n <= bytes_.size(), "{} is cut short or damaged; restore it from a copy", where_);
    const std::string_view piece = bytes_.substr(0, n);
    bytes_.remove_prefix(n);
    return piece;
  }
  /// Throws Error on numbers above `most`.
  uint64_t varint(uint64_t most) {
    uint64_t x = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1)[0]);
      x |= uint64_t{byte & 127U} << shift;
      if (byte < 128) {
        require(x <= most, "{} is damaged: a length of {} where at most {} is possible", where_, x, most);
        return x;
      }
    }
    fail("{} is damaged: a number without end", where_);
  }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
  std::string where_;
};

}  // namespace crate
