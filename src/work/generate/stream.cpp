#include "work/generate/stream.h"

#include <algorithm>

namespace crate {
namespace {

// Bytes at the end that begin a UTF-8 character which is not complete yet.
std::size_t incomplete_utf8(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

}  // namespace

std::size_t TextStream::held_back() const {
  std::size_t held = incomplete_utf8(pending_);
  for (const std::string& stop : stop_) {
    for (std::size_t n = std::min(stop.size(), pending_.size()); n > held; --n) {
      if (std::string_view(pending_).ends_with(std::string_view(stop).substr(0, n))) held = n;
    }
  }
  return held;
}

bool TextStream::take(std::string_view bytes) {
  pending_ += bytes;
  std::size_t found = std::string::npos;
  for (const std::string& stop : stop_) {
    if (!stop.empty()) found = std::min(found, pending_.find(stop));
  }
  const std::size_t ready = found != std::string::npos ? found : pending_.size() - held_back();
  if (ready > 0) emit_(std::string_view(pending_).substr(0, ready));
  pending_.erase(0, ready);
  stopped_ = found != std::string::npos;
  return !stopped_;
}

void TextStream::finish() {
  if (!stopped_ && !pending_.empty()) emit_(pending_);
  pending_.clear();
}

}  // namespace crate
