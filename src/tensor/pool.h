// pool: the memory of a device. Blocks are reused by size, so that a steady training step allocates nothing.
#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace crate {

/// 64-byte aligned blocks. Not zeroed. Thread-safe.
class Pool {
 public:
  /// With `guard`, each block is fenced by known bytes that release() verifies: a kernel that writes outside throws.
  explicit Pool(bool guard = false) : guard_(guard) {}
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void* allocate(std::size_t bytes);
  /// Gives a block back for reuse. Throws Error when the block's fence was overwritten.
  void release(void* block);

  std::size_t bytes_in_use() const { return in_use_; }
  std::size_t peak_bytes() const { return peak_; }
  void reset_peak() { peak_ = in_use_; }

 private:
  struct Block {
    std::size_t capacity;
    std::size_t asked;
  };
  std::mutex mutex_;
  std::unordered_map<void*, Block> live_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;  // by capacity
  bool guard_;
  std::size_t in_use_ = 0;
  std::size_t peak_ = 0;
};

/// A block that goes back when it leaves scope.
class Scratch {
 public:
  Scratch(Pool& pool, std::size_t bytes) : pool_(&pool), data_(pool.allocate(bytes)) {}
  ~Scratch() {
    if (data_) pool_->release(data_);
  }
  Scratch(Scratch&& other) noexcept : pool_(other.pool_), data_(std::exchange(other.data_, nullptr)) {}
  Scratch& operator=(Scratch&&) = delete;
  template <class T> T* as() const { return static_cast<T*>(data_); }

 private:
  Pool* pool_;
  void* data_;
};

}  // namespace crate
