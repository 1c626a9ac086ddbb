// zip: archives of stored (uncompressed) entries, read in place and written as a stream; with zip64. This is the frame
// of a PyTorch checkpoint (APPNOTE.TXT 6.3.9 of PKWARE, sections 4.3 and 4.5.3).
//
// An archive: for every entry a local header, its data, and at the end the central directory that lists them all.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace crate {

/// A view of an archive in memory. The directory is checked as a whole before anything is believed: every entry lies
/// inside the file, none overlaps another, no name comes twice. Throws Error, beginning with `where`.
class ZipReader {
 public:
  ZipReader(std::span<const std::byte> bytes, std::string where);

  bool has(const std::string& name) const { return entries_.contains(name); }
  /// The data of an entry, its checksum verified. Throws Error when there is none of that name, when it is compressed
  /// or encrypted, or when the checksum differs.
  std::span<const std::byte> read(const std::string& name) const;
  std::vector<std::string> names() const;

 private:
  struct Entry {
    std::span<const std::byte> data;
    uint32_t crc = 0;
    uint16_t method = 0, flags = 0;
  };
  struct Directory {
    uint64_t begin = 0, size = 0, count = 0;
  };
  struct Place {
    uint64_t begin = 0, end = 0;
  };
  Directory find_directory() const;
  Place add_entry(std::span<const std::byte> record, uint64_t directory_begin);

  std::span<const std::byte> bytes_;
  std::string where_;
  std::map<std::string, Entry> entries_;
};

/// Appends entries to a file being written, each one's data at a multiple of 64 bytes as PyTorch lays them out. Sizes
/// are always written in their zip64 form, so that small and huge archives take the same path.
class ZipWriter {
 public:
  explicit ZipWriter(AtomicFile& file) : file_(file) {}
  void add(const std::string& name, std::span<const std::byte> data);
  /// Writes the directory; once, at the end. The caller commits the file.
  void finish();

 private:
  struct Entry {
    std::string name;
    uint64_t offset = 0, size = 0;
    uint32_t crc = 0;
  };
  void put(const std::string& bytes);

  AtomicFile& file_;
  uint64_t at_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace crate
