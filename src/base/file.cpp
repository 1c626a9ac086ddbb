#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"

namespace crate {
namespace {

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// What gives an open file without a name one.
std::string handle_of(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

void sync_directory_of(const std::string& path) {
  const int fd = open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;  // some file systems give no handle on a directory; the rename itself has happened
  fsync(fd);
  close(fd);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not block
  require(fd >= 0, "cannot open {}: {}", path, std::strerror(errno));
  struct stat info {};
  const bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  void* map = nullptr;
  size_ = regular ? static_cast<std::size_t>(info.st_size) : 0;
  if (size_ > 0) map = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  const int error = errno;
  close(fd);
  require(regular, "cannot read {}: it is not a regular file", path);
  require(map != MAP_FAILED, "cannot map {}: {}", path, std::strerror(error));
  data_ = static_cast<const std::byte*>(map);
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

AtomicFile::AtomicFile(const std::string& path) : path_(path), temporary_(fmt::format("{}.{}.tmp", path, getpid())) {
  struct stat there {};
  direct_ = stat(path_.c_str(), &there) == 0 && !S_ISREG(there.st_mode);
  if (direct_) {
    fd_ = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    require(fd_ >= 0, "cannot write {}: {}", path_, std::strerror(errno));
    return;
  }
  fd_ = open(folder_of(path_).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
  if (fd_ >= 0 && access(handle_of(fd_).c_str(), F_OK) != 0) close(std::exchange(fd_, -1));
  if (fd_ < 0) {
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    named_ = fd_ >= 0;
  }
  require(fd_ >= 0, "cannot write {}: {}", path_, std::strerror(errno));
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() {
  if (fd_ < 0) return;
  close(std::exchange(fd_, -1));
  if (named_) unlink(temporary_.c_str());
}

void AtomicFile::failed(const char* what) {
  const int error = errno;
  discard();
  const char* remedy = error == ENOSPC || error == EDQUOT || error == EFBIG ? "; free some space and run again" : "";
  fail("cannot {} {}: {}{} (what was there before is untouched)", what, path_, std::strerror(error), remedy);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  require(fd_ >= 0, "[file] write to {} after it was closed", path_);
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), std::min<std::size_t>(bytes.size(), 1 << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) failed("write");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void AtomicFile::overwrite(std::size_t offset, std::span<const std::byte> bytes) {
  require(fd_ >= 0, "[file] write to {} after it was closed", path_);
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) failed("write");
    offset += static_cast<std::size_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void AtomicFile::commit() {
  require(fd_ >= 0, "[file] commit of {} after it was closed", path_);
  if (direct_) {
    close(std::exchange(fd_, -1));
    return;
  }
  if (fsync(fd_) != 0) failed("sync");
  if (!named_) {
    unlink(temporary_.c_str());  // of a killed process that had this number
    if (linkat(AT_FDCWD, handle_of(fd_).c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0) failed("name");
    named_ = true;
  }
  if (rename(temporary_.c_str(), path_.c_str()) != 0) failed("rename");
  close(std::exchange(fd_, -1));
  sync_directory_of(path_);
}

void write_atomically(const std::string& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_atomically(const std::string& path, std::string_view text) {
  write_atomically(path, std::as_bytes(std::span(text.data(), text.size())));
}

std::string read_text_file(const std::string& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void rename_durably(const std::string& from, const std::string& to) {
  require(rename(from.c_str(), to.c_str()) == 0, "cannot rename {} to {}: {}", from, to, std::strerror(errno));
  sync_directory_of(to);
}

}  // namespace crate
