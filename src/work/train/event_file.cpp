#include "work/train/event_file.h"

#include <array>
#include <bit>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t castagnoli = 0x82f63b78;  // x^32 + x^28 + ... of CRC-32C, bits reversed

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? (c >> 1) ^ castagnoli : c >> 1;
    table[i] = c;
  }
  return table;
}

uint32_t masked(std::string_view bytes) {
  const uint32_t c = crc32c(bytes);
  return ((c >> 15) | (c << 17)) + 0xa282ead8U;
}

template <class T> std::string little_endian(T value) {
  std::string out;
  for (std::size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  return out;
}

// Protobuf: a field is its number and wire type (0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes), then data.
std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out.push_back(static_cast<char>(value));
  return out;
}
std::string field(int number, int type) {
  return varint(static_cast<uint64_t>(number) << 3 | static_cast<uint64_t>(type));
}
std::string bytes_field(int number, std::string_view bytes) {
  return field(number, 2) + varint(bytes.size()) + std::string(bytes);
}
std::string double_field(int number, double value) {
  return field(number, 1) + little_endian(std::bit_cast<uint64_t>(value));
}
std::string float_field(int number, double value) {
  return field(number, 5) + little_endian(std::bit_cast<uint32_t>(static_cast<float>(value)));
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> table = crc_table();
  uint32_t c = 0xffffffffU;
  for (const char b : bytes) c = table[(c ^ static_cast<uint8_t>(b)) & 0xff] ^ (c >> 8);
  return c ^ 0xffffffffU;
}

EventFile::EventFile(const std::string& folder, int64_t unix_time) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("events.out.tfevents.") && name.ends_with(".crate")) fs::remove(entry.path());
  }
  path_ = (fs::path(folder) / fmt::format("events.out.tfevents.{}.crate", unix_time)).string();
  out_.open(path_, std::ios::binary);
  record(double_field(1, static_cast<double>(unix_time)) + bytes_field(3, "brain.Event:2"));
}

void EventFile::scalars(double wall_time, int64_t step, std::span<const std::pair<std::string, double>> values) {
  std::string summary;
  for (const auto& [tag, value] : values) summary += bytes_field(1, bytes_field(1, tag) + float_field(2, value));
  record(double_field(1, wall_time) + field(2, 0) + varint(static_cast<uint64_t>(step)) + bytes_field(5, summary));
}

void EventFile::record(const std::string& event) {
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  out_ << length << little_endian(masked(length)) << event << little_endian(masked(event)) << std::flush;
  require(out_.good(), "cannot write {}: free some space, then continue with --resume", path_);
}

}  // namespace crate
