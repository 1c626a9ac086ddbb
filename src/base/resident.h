// resident: how much memory the process holds, as Linux counts it.
#pragma once
#include <cstddef>
#include <fstream>
#include <string>

namespace crate {

struct ResidentBytes {
  std::size_t now = 0, most = 0;  // most: since the process began its program; both 0 where there is no /proc
};

inline ResidentBytes resident_bytes() {
  ResidentBytes out;
  std::ifstream in("/proc/self/status");
  std::size_t kilobytes = 0;
  for (std::string word; in >> word;) {
    if (word == "VmRSS:" && in >> kilobytes) out.now = 1024 * kilobytes;
    if (word == "VmHWM:" && in >> kilobytes) out.most = 1024 * kilobytes;
  }
  return out;
}

}  // namespace crate
