// tar: what lies where in an archive, so that its files are read in place. POSIX ustar with GNU's long names and pax
// headers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace crate {

struct TarEntry {
  std::string path;  // without a leading "./" or a trailing "/"
  uint64_t offset = 0, size = 0;
  bool folder = false;
};

/// Whether the bytes begin as an archive does.
bool looks_like_tar(std::span<const std::byte> bytes);

/// Files and folders in the order of the archive; links and devices are left out. Throws Error (the reason alone) when
/// a header is damaged or the archive is cut short.
std::vector<TarEntry> tar_entries(std::span<const std::byte> bytes);

}  // namespace crate
