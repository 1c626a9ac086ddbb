#include "work/image/tar.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/error.h"

namespace crate {
namespace {

constexpr uint64_t block = 512;
// Offsets of a header's fields.
constexpr std::size_t name_at = 0, name_size = 100, size_at = 124, size_size = 12, sum_at = 148, sum_size = 8,
                      kind_at = 156, magic_at = 257, prefix_at = 345, prefix_size = 155;

std::string_view text(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
  const std::string_view field(reinterpret_cast<const char*>(bytes.data()) + at, size);
  return field.substr(0, std::min(size, field.find('\0')));
}

/// Octal digits between spaces, or GNU's binary form: a first byte of 0x80, then a big-endian number.
uint64_t number(std::span<const std::byte> header, std::size_t at, std::size_t size) {
  uint64_t value = 0;
  if (header[at] == std::byte{0x80}) {
    for (std::size_t i = at + 1; i < at + size; ++i) {
      require(value >> 56 == 0, "a size in the archive is too large");
      value = value << 8 | std::to_integer<uint64_t>(header[i]);
    }
    return value;
  }
  std::string_view digits = text(header, at, size);
  digits.remove_prefix(std::min(digits.size(), digits.find_first_not_of(' ')));
  digits = digits.substr(0, digits.find(' '));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  require(error == std::errc{} && end == digits.data() + digits.size(), "a header of the archive is damaged");
  return value;
}

bool blank(std::span<const std::byte> header) {
  return std::all_of(header.begin(), header.end(), [](std::byte b) { return b == std::byte{0}; });
}

/// The sum of the header's bytes, its own field counted as spaces.
void check_sum(std::span<const std::byte> header) {
  uint64_t sum = 0;
  for (std::size_t i = 0; i < block; ++i)
    sum += i >= sum_at && i < sum_at + sum_size ? uint64_t{' '} : std::to_integer<uint64_t>(header[i]);
  require(number(header, sum_at, sum_size) == sum, "a header of the archive is damaged: its sum is wrong");
}

struct Pax {
  std::string path;
  uint64_t size = 0;
  bool has_size = false;
};

/// Records "LENGTH KEY=VALUE\n"; the length counts itself.
Pax parse_pax(std::string_view records) {
  Pax pax;
  while (!records.empty()) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(records.data(), records.data() + records.size(), length);
    const auto digits = static_cast<std::size_t>(end - records.data());
    require(error == std::errc{} && length > digits + 1 && length <= records.size() && records[digits] == ' ',
            "an extended header of the archive is damaged");
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    if (record.starts_with("path=")) pax.path = record.substr(5);
    if (record.starts_with("size=")) {
      const std::string_view value = record.substr(5);
      pax.has_size = std::from_chars(value.data(), value.data() + value.size(), pax.size).ec == std::errc{};
      require(pax.has_size, "an extended header of the archive is damaged");
    }
    records.remove_prefix(length);
  }
  return pax;
}

std::string cleaned(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

std::string header_path(std::span<const std::byte> header) {
  const std::string_view name = text(header, name_at, name_size), prefix = text(header, prefix_at, prefix_size);
  const bool posix = text(header, magic_at, 6) == "ustar" && header[magic_at + 5] == std::byte{0};
  return posix && !prefix.empty() ? fmt::format("{}/{}", prefix, name) : std::string(name);
}

}  // namespace

bool looks_like_tar(std::span<const std::byte> bytes) {
  return bytes.size() >= block && std::memcmp(bytes.data() + magic_at, "ustar", 5) == 0;
}

std::vector<TarEntry> tar_entries(std::span<const std::byte> bytes) {
  std::vector<TarEntry> entries;
  std::string long_name;  // of the entry that follows
  Pax pax;
  for (uint64_t at = 0;;) {
    require(bytes.size() - at >= block, "the archive is cut short (it has no end mark); fetch it again");
    const auto header = bytes.subspan(at, block);
    if (blank(header)) return entries;
    check_sum(header);
    const char kind = static_cast<char>(header[kind_at]);
    const bool describes = kind == 'L' || kind == 'K' || kind == 'x' || kind == 'g';
    const uint64_t size = pax.has_size && !describes ? pax.size : number(header, size_at, size_size);
    at += block;
    require(size <= bytes.size() - at, "the archive is cut short in {}; fetch it again", header_path(header));
    if (kind == 'L') {
      long_name = text(bytes.subspan(at, size), 0, size);
    } else if (kind == 'x') {
      pax = parse_pax({reinterpret_cast<const char*>(bytes.data()) + at, size});
    } else if (!describes) {
      const bool file = kind == '0' || kind == '\0' || kind == '7';
      const std::string path = !pax.path.empty() ? pax.path : !long_name.empty() ? long_name : header_path(header);
      const bool folder = kind == '5' || (file && path.ends_with('/'));
      if (file || folder) entries.push_back({cleaned(path), at, folder ? 0 : size, folder});
      long_name.clear();
      pax = {};
    }
    at += std::min(bytes.size() - at, (size + block - 1) / block * block);
  }
}

}  // namespace crate
