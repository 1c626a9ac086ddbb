#include "model/files/array.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace crate {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian and are read as they are");

struct DtypeRow {
  FileDtype dtype;
  const char* name;
  std::size_t size;
};

constexpr std::array<DtypeRow, 11> dtypes = {{{FileDtype::boolean, "BOOL", 1},
                                              {FileDtype::u8, "U8", 1},
                                              {FileDtype::i8, "I8", 1},
                                              {FileDtype::i16, "I16", 2},
                                              {FileDtype::u16, "U16", 2},
                                              {FileDtype::i32, "I32", 4},
                                              {FileDtype::i64, "I64", 8},
                                              {FileDtype::f16, "F16", 2},
                                              {FileDtype::bf16, "BF16", 2},
                                              {FileDtype::f32, "F32", 4},
                                              {FileDtype::f64, "F64", 8}}};

const DtypeRow& row_of(FileDtype dtype) { return dtypes[static_cast<std::size_t>(dtype)]; }

// Exact, NaN with its sign and payload too: the exponent moves from bias 15 to bias 127, the mantissa 13 bits up.
float from_half(uint16_t h) {
  const uint32_t sign = (h & 0x8000U) << 16, exponent = (h >> 10) & 31U, mantissa = h & 1023U;
  if (exponent == 0) return std::copysign(static_cast<float>(mantissa) * 0x1p-24F, std::bit_cast<float>(sign));
  const uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

float from_bf16(uint16_t h) { return std::bit_cast<float>(static_cast<uint32_t>(h) << 16); }

template <class From, class To, class Convert> void convert(const Array& a, std::vector<To>& out, Convert&& f) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    From value;
    std::memcpy(&value, a.bytes.data() + i * sizeof(From), sizeof(From));  // a mapping need not be aligned
    out[i] = static_cast<To>(f(value));
  }
}

template <class To> std::vector<To> widen(const Array& a) {
  std::vector<To> out(static_cast<std::size_t>(a.numel()));
  const auto same = [](auto v) { return v; };
  switch (a.dtype) {
    case FileDtype::boolean:
      convert<uint8_t>(a, out, [](uint8_t v) { return v != 0 ? 1 : 0; });
      break;
    case FileDtype::u8:
      convert<uint8_t>(a, out, same);
      break;
    case FileDtype::i8:
      convert<int8_t>(a, out, [](int8_t v) { return static_cast<int>(v); });
      break;
    case FileDtype::i16:
      convert<int16_t>(a, out, same);
      break;
    case FileDtype::u16:
      convert<uint16_t>(a, out, same);
      break;
    case FileDtype::i32:
      convert<int32_t>(a, out, same);
      break;
    case FileDtype::i64:
      convert<int64_t>(a, out, same);
      break;
    case FileDtype::f16:
      convert<uint16_t>(a, out, from_half);
      break;
    case FileDtype::bf16:
      convert<uint16_t>(a, out, from_bf16);
      break;
    case FileDtype::f32:
      convert<float>(a, out, same);
      break;
    case FileDtype::f64:
      convert<double>(a, out, same);
      break;
  }
  return out;
}

}  // namespace

std::size_t size_of(FileDtype dtype) { return row_of(dtype).size; }
const char* name_of(FileDtype dtype) { return row_of(dtype).name; }

FileDtype file_dtype_of(std::string_view name) {
  for (const DtypeRow& row : dtypes) {
    if (name == row.name) return row.dtype;
  }
  fail("unknown dtype '{}'", name);
}

std::string Array::shape_str() const {
  std::string out = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + ")";
}

std::vector<double> Array::to_f64() const { return widen<double>(*this); }
std::vector<float> Array::to_f32() const { return widen<float>(*this); }

std::vector<int64_t> Array::to_i64() const {
  const bool real =
      dtype == FileDtype::f16 || dtype == FileDtype::bf16 || dtype == FileDtype::f32 || dtype == FileDtype::f64;
  require(!real, "expected whole numbers, came {} {}", name_of(dtype), shape_str());
  return widen<int64_t>(*this);
}

std::vector<std::byte> transposed(std::span<const std::byte> matrix, int64_t rows, int64_t cols, std::size_t element) {
  const auto m = static_cast<std::size_t>(rows), n = static_cast<std::size_t>(cols);
  require(m * n * element == matrix.size(), "a matrix of {} x {} does not have {} bytes", rows, cols, matrix.size());
  std::vector<std::byte> out(matrix.size());
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j)
      std::memcpy(out.data() + (j * m + i) * element, matrix.data() + (i * n + j) * element, element);
  return out;
}

int64_t checked_numel(const std::vector<int64_t>& shape, std::size_t element_size, std::string_view where) {
  int64_t n = 1;
  bool overflow = false;
  for (const int64_t d : shape) {
    require(d >= 0, "{}: negative dimension {}", where, d);
    overflow = overflow || __builtin_mul_overflow(n, d, &n);
  }
  require(!overflow && n <= (int64_t{1} << 62) / static_cast<int64_t>(element_size), "{}: the shape is too large",
          where);
  return n;
}

Array make_array(FileDtype dtype, std::vector<int64_t> shape, std::vector<std::byte> bytes) {
  const int64_t n = checked_numel(shape, size_of(dtype), "array");
  require(static_cast<std::size_t>(n) * size_of(dtype) == bytes.size(), "array: {} bytes do not fill {} elements of {}",
          bytes.size(), n, name_of(dtype));
  auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return {dtype, std::move(shape), *owner, owner};
}

}  // namespace crate
