// aligned: vectors that begin at a cache line, so that a load of 64 bytes never touches two.
#pragma once
#include <cstddef>
#include <new>
#include <vector>

namespace crate {

template <class T> struct CacheLines {
  using value_type = T;
  static constexpr std::align_val_t line{64};

  CacheLines() = default;
  template <class U> explicit CacheLines(const CacheLines<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), line)); }
  void deallocate(T* at, std::size_t) { ::operator delete(at, line); }
  bool operator==(const CacheLines&) const { return true; }
};

template <class T> using AlignedVector = std::vector<T, CacheLines<T>>;

}  // namespace crate
