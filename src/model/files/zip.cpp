#include "model/files/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace crate {
namespace {

constexpr uint32_t local_mark = 0x04034B50, central_mark = 0x02014B50, end_mark = 0x06054B50, end64_mark = 0x06064B50,
                   locator64_mark = 0x07064B50;
constexpr std::size_t local_size = 30, central_size = 46, end_size = 22, end64_size = 56, locator64_size = 20;
constexpr uint32_t full32 = 0xFFFFFFFF;
constexpr uint16_t full16 = 0xFFFF, zip64_tag = 1;

template <class T> T get(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

uint32_t checksum(std::span<const std::byte> data) {
  return static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size()));
}

/// The 64-bit numbers of an extra field stand in a fixed order, each only if its 32-bit place is full.
class Zip64Extra {
 public:
  explicit Zip64Extra(std::span<const std::byte> extra) {
    while (extra.size() >= 4) {
      const auto tag = get<uint16_t>(extra, 0), size = get<uint16_t>(extra, 2);
      if (size > extra.size() - 4) return;
      if (tag == zip64_tag) {
        numbers_ = extra.subspan(4, size);
        return;
      }
      extra = extra.subspan(4 + std::size_t{size});
    }
  }
  uint64_t widen(uint32_t value, const std::string& where) {
    if (value != full32) return value;
    require(numbers_.size() >= 8, "{}: damaged zip archive: a 64-bit size is missing", where);
    const auto wide = get<uint64_t>(numbers_, 0);
    numbers_ = numbers_.subspan(8);
    return wide;
  }

 private:
  std::span<const std::byte> numbers_;
};

template <class T> void append(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

template <class... T> void append_all(std::string& out, T... values) { (append(out, values), ...); }

constexpr uint16_t version = 45, utf8_flag = 0x800, no_time = 0, first_of_january_1980 = 0x21;

}  // namespace

ZipReader::Directory ZipReader::find_directory() const {
  // The end record is followed by a comment of at most 65535 bytes whose length it states.
  const std::size_t last = bytes_.size() >= end_size ? bytes_.size() - end_size : 0;
  const std::size_t first = last > full16 ? last - full16 : 0;
  for (std::size_t at = last + 1; at-- > first && bytes_.size() >= end_size;) {
    if (get<uint32_t>(bytes_, at) != end_mark || get<uint16_t>(bytes_, at + 20) != last - at) continue;
    Directory d{get<uint32_t>(bytes_, at + 16), get<uint32_t>(bytes_, at + 12), get<uint16_t>(bytes_, at + 10)};
    uint64_t end = at;
    if (at >= locator64_size && get<uint32_t>(bytes_, at - locator64_size) == locator64_mark) {
      end = get<uint64_t>(bytes_, at - locator64_size + 8);
      const bool fits = at - locator64_size >= end64_size && end <= at - locator64_size - end64_size;
      require(fits && get<uint32_t>(bytes_, end) == end64_mark, "{}: damaged zip archive: no 64-bit end record",
              where_);
      d = {get<uint64_t>(bytes_, end + 48), get<uint64_t>(bytes_, end + 40), get<uint64_t>(bytes_, end + 32)};
    }
    require(d.begin <= end && d.size <= end - d.begin && d.count <= d.size / central_size,
            "{}: damaged zip archive: its directory lies outside the file", where_);
    return d;
  }
  fail("{}: not a whole zip archive: it has no directory at its end; the file is truncated, copy it again", where_);
}

ZipReader::ZipReader(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {
  const Directory directory = find_directory();
  auto rest = bytes_.subspan(directory.begin, directory.size);
  std::vector<Place> places;
  for (uint64_t i = 0; i < directory.count; ++i) {
    require(rest.size() >= central_size && get<uint32_t>(rest, 0) == central_mark,
            "{}: damaged zip archive: entry {} of the directory", where_, i);
    const std::size_t size =
        central_size + std::size_t{get<uint16_t>(rest, 28)} + get<uint16_t>(rest, 30) + get<uint16_t>(rest, 32);
    require(size <= rest.size(), "{}: damaged zip archive: entry {} of the directory", where_, i);
    places.push_back(add_entry(rest.first(size), directory.begin));
    rest = rest.subspan(size);
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < places.size(); ++i) {
    require(places[i - 1].end <= places[i].begin, "{}: damaged zip archive: two entries overlap", where_);
  }
}

ZipReader::Place ZipReader::add_entry(std::span<const std::byte> record, uint64_t directory_begin) {
  const std::size_t name_size = get<uint16_t>(record, 28), extra_size = get<uint16_t>(record, 30);
  const std::string name(reinterpret_cast<const char*>(record.data()) + central_size, name_size);
  Zip64Extra extra(record.subspan(central_size + name_size, extra_size));
  const uint64_t size = extra.widen(get<uint32_t>(record, 24), where_);
  const uint64_t packed = extra.widen(get<uint32_t>(record, 20), where_);
  const uint64_t header = extra.widen(get<uint32_t>(record, 42), where_);
  const bool inside = header <= directory_begin && local_size <= directory_begin - header;
  require(inside && get<uint32_t>(bytes_, header) == local_mark && get<uint16_t>(bytes_, header + 26) == name_size,
          "{}: damaged zip archive: entry '{}' is not where the directory says", where_, name);
  const uint64_t begin = header + local_size + name_size + get<uint16_t>(bytes_, header + 28);
  require(begin <= directory_begin && packed <= directory_begin - begin &&
              std::memcmp(bytes_.data() + header + local_size, name.data(), name_size) == 0,
          "{}: damaged zip archive: entry '{}' lies outside the file or has another name there", where_, name);
  Entry entry{bytes_.subspan(begin, packed), get<uint32_t>(record, 16), get<uint16_t>(record, 10),
              get<uint16_t>(record, 8)};
  require(entry.method != 0 || size == packed, "{}: damaged zip archive: entry '{}' has two sizes", where_, name);
  require(entries_.emplace(name, entry).second, "{}: damaged zip archive: entry '{}' comes twice", where_, name);
  return {header, begin + packed};
}

std::span<const std::byte> ZipReader::read(const std::string& name) const {
  const auto it = entries_.find(name);
  require(it != entries_.end(), "{}: the archive has no entry '{}'; the file is incomplete", where_, name);
  const Entry& entry = it->second;
  require(entry.method == 0 && (entry.flags & 1) == 0,
          "{}: entry '{}' is compressed or encrypted; PyTorch stores its entries plainly: load the file there and save "
          "it again",
          where_, name);
  require(checksum(entry.data) == entry.crc, "{}: entry '{}' has a wrong checksum; the file is damaged, copy it again",
          where_, name);
  return entry.data;
}

std::vector<std::string> ZipReader::names() const {
  std::vector<std::string> out;
  for (const auto& [name, entry] : entries_) out.push_back(name);
  return out;
}

void ZipWriter::put(const std::string& bytes) {
  file_.write(bytes);
  at_ += bytes.size();
}

void ZipWriter::add(const std::string& name, std::span<const std::byte> data) {
  require(name.size() < 1000, "[zip] the name of an entry is too long");
  const Entry entry{name, at_, data.size(), checksum(data)};
  // local header, name, 20 bytes of 64-bit sizes, then a field 'FB' of padding
  const uint64_t unpadded = at_ + local_size + name.size() + 20 + 4;
  const auto padding = static_cast<uint16_t>((64 - unpadded % 64) % 64);
  std::string header;
  append_all(header, local_mark, version, utf8_flag, uint16_t{0}, no_time, first_of_january_1980, entry.crc, full32,
             full32, static_cast<uint16_t>(name.size()), static_cast<uint16_t>(20 + 4 + padding));
  header += name;
  append_all(header, zip64_tag, uint16_t{16}, entry.size, entry.size);
  header += "FB";
  append(header, padding);
  header.append(padding, 'Z');
  put(header);
  file_.write(data);
  at_ += data.size();
  entries_.push_back(entry);
}

void ZipWriter::finish() {
  const uint64_t begin = at_;
  for (const Entry& e : entries_) {
    std::string record;
    append_all(record, central_mark, version, version, utf8_flag, uint16_t{0}, no_time, first_of_january_1980, e.crc,
               full32, full32, static_cast<uint16_t>(e.name.size()), uint16_t{28}, uint16_t{0}, uint16_t{0},
               uint16_t{0}, uint32_t{0}, full32);
    record += e.name;
    append_all(record, zip64_tag, uint16_t{24}, e.size, e.size, e.offset);
    put(record);
  }
  const uint64_t end = at_, count = entries_.size();
  std::string tail;
  append_all(tail, end64_mark, uint64_t{end64_size - 12}, version, version, uint32_t{0}, uint32_t{0}, count, count,
             end - begin, begin);
  append_all(tail, locator64_mark, uint32_t{0}, end, uint32_t{1});
  append_all(tail, end_mark, uint16_t{0}, uint16_t{0}, full16, full16, full32, full32, uint16_t{0});
  put(tail);
}

}  // namespace crate
