// array: a named tensor as files hold it: dtype of the file, shape, contiguous little-endian bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace crate {

enum class FileDtype : uint8_t { boolean, u8, i8, i16, u16, i32, i64, f16, bf16, f32, f64 };

std::size_t size_of(FileDtype dtype);
/// The names of safetensors: "BOOL", "F32", "BF16", ...
const char* name_of(FileDtype dtype);
/// Throws Error on an unknown name.
FileDtype file_dtype_of(std::string_view name);

/// `bytes` views memory kept alive by `owner` (a mapping, or a buffer of its own).
struct Array {
  FileDtype dtype = FileDtype::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;

  int64_t numel() const { return static_cast<int64_t>(bytes.size() / size_of(dtype)); }
  std::string shape_str() const;
  /// Any numeric dtype, widened or rounded; f16 and bf16 widen exactly.
  std::vector<double> to_f64() const;
  std::vector<float> to_f32() const;
  /// Integer dtypes only; throws Error else.
  std::vector<int64_t> to_i64() const;
};

/// An array that owns a copy of the bytes. Throws Error when the size does not fit the shape.
Array make_array(FileDtype dtype, std::vector<int64_t> shape, std::vector<std::byte> bytes);

/// A matrix of elements of that many bytes, column by column.
std::vector<std::byte> transposed(std::span<const std::byte> matrix, int64_t rows, int64_t cols, std::size_t element);

/// Number of elements; throws Error on a negative dimension or on overflow past 2^62 bytes.
int64_t checked_numel(const std::vector<int64_t>& shape, std::size_t element_size, std::string_view where);

using ArrayMap = std::map<std::string, Array>;

}  // namespace crate
