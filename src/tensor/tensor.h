// tensor: a view of numbers: address, shape, dtype. It owns nothing and is passed by value.
// Rows are contiguous and row-major; a "matrix view" reads the last dimension as columns, all others as rows.
#pragma once
#include <array>
#include <complex>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>

#include "base/error.h"

namespace crate {

/// f32 is what `cpu` computes in, f64 and c128 what `ref` computes in; i32 holds tokens, u8 bytes and bits.
enum class Dtype : uint8_t { f32, f64, c128, bf16, i32, u8 };

std::size_t size_of(Dtype dtype);  // bytes of one element
const char* name_of(Dtype dtype);  // "f32", ...

/// Storage of a bfloat16: the upper half of a float.
struct Bf16 {
  uint16_t bits;
};

template <class T> constexpr Dtype dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return Dtype::f32;
  else if constexpr (std::is_same_v<T, double>)
    return Dtype::f64;
  else if constexpr (std::is_same_v<T, std::complex<double>>)
    return Dtype::c128;
  else if constexpr (std::is_same_v<T, Bf16>)
    return Dtype::bf16;
  else if constexpr (std::is_same_v<T, int32_t>)
    return Dtype::i32;
  else {
    static_assert(std::is_same_v<T, uint8_t>, "no dtype for this type");
    return Dtype::u8;
  }
}

/// Up to four dimensions, each >= 0.
class Shape {
 public:
  static constexpr int max_rank = 4;
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[static_cast<std::size_t>(i < 0 ? rank_ + i : i)]; }
  void set(int i, int64_t size) { dims_[static_cast<std::size_t>(i < 0 ? rank_ + i : i)] = size; }
  int64_t numel() const;  // 1 for a scalar of rank 0
  int64_t cols() const { return rank_ == 0 ? 1 : (*this)[-1]; }
  int64_t rows() const;  // product of all dimensions but the last
  bool operator==(const Shape&) const = default;
  std::string str() const;  // "(2, 13, 36)"

 private:
  std::array<int64_t, max_rank> dims_{};
  int rank_ = 0;
};

/// `id` is the gradient slot in the Run that made or adopted the tensor; -1 marks a constant.
struct Tensor {
  void* data = nullptr;
  Shape shape;
  Dtype dtype = Dtype::f32;
  int32_t id = -1;

  explicit operator bool() const { return data != nullptr; }
  int64_t numel() const { return shape.numel(); }
  int64_t rows() const { return shape.rows(); }
  int64_t cols() const { return shape.cols(); }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype); }

  /// Typed address; throws when T is not the dtype.
  template <class T> T* as() const {
    if (dtype != dtype_of<T>())  // no require(): its arguments, a string of the shape, cost more than many an operator
      fail("[tensor] expected {}, came {} {}", name_of(dtype_of<T>()), name_of(dtype), shape.str());
    return static_cast<T*>(data);
  }
  /// The same numbers (and gradient slot) under another shape of equal size.
  Tensor reshaped(Shape to) const;
  /// Rows lo..hi of the matrix view, as a matrix without a gradient slot.
  Tensor row_slice(int64_t lo, int64_t hi) const;
  /// Entry i of the first dimension, which becomes 1: one sequence of a batch, without a gradient slot.
  Tensor entry(int64_t i) const;
};

}  // namespace crate
