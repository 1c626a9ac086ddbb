// file: reading by memory map, and writing that either happens whole or not at all.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace crate {

/// A read-only mapping of a whole file. Throws Error naming the file.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Writes to a file beside `path` that has no name until commit(), which syncs it and puts it in the place of `path`.
/// Without commit() nothing is left behind, even by a process that is killed; only where the file system knows no
/// nameless files it is called NAME.PID.tmp meanwhile. A device or a pipe (/dev/null) is never replaced: bytes go
/// straight into it.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Throws Error, naming the file and the remedy, when the disk is full.
  void write(std::span<const std::byte> bytes);
  /// Replaces bytes that were written before, at `offset` from the beginning: a header that holds a count.
  void overwrite(std::size_t offset, std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  void commit();

 private:
  void discard();
  [[noreturn]] void failed(const char* what);
  std::string path_, temporary_;
  int fd_ = -1;
  bool named_ = false;   // as temporary_
  bool direct_ = false;  // a device or a pipe
};

void write_atomically(const std::string& path, std::span<const std::byte> bytes);
void write_atomically(const std::string& path, std::string_view text);
std::string read_text_file(const std::string& path);

/// rename(2) followed by a sync of the directory, so that the new name survives a power cut.
void rename_durably(const std::string& from, const std::string& to);

}  // namespace crate
