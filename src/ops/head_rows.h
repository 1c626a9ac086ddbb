// head_rows: where one head's rows lie inside a tensor that holds all heads side by side.
#pragma once
#include <cstddef>

namespace crate {

/// Row i is the p numbers from at + i * stride. Any alignment, stride >= p.
template <class T> struct HeadRows {
  const T* at = nullptr;
  std::ptrdiff_t stride = 0;
};

/// The same to be written.
template <class T> struct HeadOut {
  T* at = nullptr;
  std::ptrdiff_t stride = 0;
};

}  // namespace crate
