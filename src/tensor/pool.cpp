#include "tensor/pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace crate {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t fence = 64;
constexpr unsigned char fence_byte = 0xA5;
constexpr std::size_t huge_page = std::size_t{2} << 20, coarse = std::size_t{64} << 10;

// Sizes are rounded so that nearly equal requests share blocks.
std::size_t round_up(std::size_t bytes) {
  const std::size_t grain = bytes >= huge_page ? coarse : alignment;
  return (std::max<std::size_t>(bytes, 1) + grain - 1) / grain * grain;
}

void* new_block(std::size_t capacity, std::size_t extra) {
  const std::size_t align = capacity >= huge_page ? huge_page : alignment;
  const std::size_t total = capacity + extra;
  void* base = nullptr;
  require(posix_memalign(&base, align, total) == 0,
          "[pool] out of memory: {} MiB more were asked for; use a smaller batch or context", total >> 20);
  // Large activations are walked from end to end: huge pages save most of their TLB misses. What remains of the block
  // beyond the last whole one lies on small pages, or it would cost a page that nobody fills.
  if (align == huge_page) madvise(base, total / huge_page * huge_page, MADV_HUGEPAGE);
  return base;
}

}  // namespace

Pool::~Pool() {
  const std::size_t shift = guard_ ? fence : 0;
  for (auto& [block, info] : live_) std::free(static_cast<char*>(block) - shift);
  for (auto& [capacity, blocks] : free_) {
    for (void* block : blocks) std::free(static_cast<char*>(block) - shift);
  }
}

void* Pool::allocate(std::size_t bytes) {
  const std::scoped_lock lock(mutex_);
  const std::size_t capacity = round_up(bytes);
  auto& shelf = free_[capacity];
  void* block = nullptr;
  if (!shelf.empty()) {
    block = shelf.back();
    shelf.pop_back();
  } else {
    block = static_cast<char*>(new_block(capacity, guard_ ? 2 * fence : 0)) + (guard_ ? fence : 0);
  }
  if (guard_) {
    std::memset(static_cast<char*>(block) - fence, fence_byte, fence);
    std::memset(static_cast<char*>(block) + bytes, fence_byte, fence);
  }
  live_[block] = {capacity, bytes};
  in_use_ += capacity;
  peak_ = std::max(peak_, in_use_);
  return block;
}

void Pool::release(void* block) {
  const std::scoped_lock lock(mutex_);
  const auto it = live_.find(block);
  require(it != live_.end(), "[pool] release of a block that is not in use");
  const Block info = it->second;
  live_.erase(it);
  in_use_ -= info.capacity;
  free_[info.capacity].push_back(block);
  if (!guard_) return;
  const auto* before = static_cast<const unsigned char*>(block) - fence;
  const auto* after = static_cast<const unsigned char*>(block) + info.asked;
  const auto intact = [](const unsigned char* p) {
    return std::all_of(p, p + fence, [](auto c) { return c == fence_byte; });
  };
  require(intact(before), "[pool] a kernel wrote before the start of a block of {} bytes", info.asked);
  require(intact(after), "[pool] a kernel wrote past the end of a block of {} bytes", info.asked);
}

}  // namespace crate
