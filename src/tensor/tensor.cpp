#include "tensor/tensor.h"

namespace crate {

std::size_t size_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return 4;
    case Dtype::f64:
      return 8;
    case Dtype::c128:
      return 16;
    case Dtype::bf16:
      return 2;
    case Dtype::i32:
      return 4;
    case Dtype::u8:
      return 1;
  }
  fail("[tensor] unknown dtype {}", static_cast<int>(dtype));
}

const char* name_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return "f32";
    case Dtype::f64:
      return "f64";
    case Dtype::c128:
      return "c128";
    case Dtype::bf16:
      return "bf16";
    case Dtype::i32:
      return "i32";
    case Dtype::u8:
      return "u8";
  }
  return "?";
}

Shape::Shape(std::initializer_list<int64_t> dims) {
  require(dims.size() <= max_rank, "[shape] at most {} dimensions, came {}", max_rank, dims.size());
  for (int64_t d : dims) {
    require(d >= 0, "[shape] a dimension must be >= 0, came {}", d);
    dims_[static_cast<std::size_t>(rank_++)] = d;
  }
}

int64_t Shape::numel() const {
  int64_t n = 1;
  for (int i = 0; i < rank_; ++i) n *= (*this)[i];
  return n;
}

int64_t Shape::rows() const {
  int64_t n = 1;
  for (int i = 0; i + 1 < rank_; ++i) n *= (*this)[i];
  return n;
}

std::string Shape::str() const {
  std::string out = "(";
  for (int i = 0; i < rank_; ++i) out += (i ? ", " : "") + std::to_string((*this)[i]);
  return out + ")";
}

Tensor Tensor::reshaped(Shape to) const {
  require(to.numel() == numel(), "[tensor] cannot view {} as {}", shape.str(), to.str());
  Tensor view = *this;
  view.shape = to;
  return view;
}

Tensor Tensor::row_slice(int64_t lo, int64_t hi) const {
  require(0 <= lo && lo <= hi && hi <= rows(), "[tensor] rows {}..{} lie outside {}", lo, hi, shape.str());
  auto* begin = static_cast<std::byte*>(data) + static_cast<std::size_t>(lo * cols()) * size_of(dtype);
  return Tensor{begin, Shape{hi - lo, cols()}, dtype, -1};
}

Tensor Tensor::entry(int64_t i) const {
  require(shape.rank() > 0 && 0 <= i && i < shape[0], "[tensor] entry {} lies outside {}", i, shape.str());
  const int64_t count = numel() / shape[0];
  Tensor one{static_cast<std::byte*>(data) + static_cast<std::size_t>(i * count) * size_of(dtype), shape, dtype, -1};
  one.shape.set(0, 1);
  return one;
}

}  // namespace crate
