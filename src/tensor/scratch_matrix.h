// scratch_matrix: a matrix of working memory, given back when it leaves scope.
#pragma once
#include "tensor/device.h"

namespace crate {

class ScratchMatrix {
 public:
  ScratchMatrix(Device& device, int64_t rows, int64_t cols, Dtype dtype = Dtype::f32)
      : block_(device.pool(), static_cast<std::size_t>(rows * cols) * size_of(dtype)),
        tensor_{block_.as<void>(), {rows, cols}, dtype, -1} {}
  const Tensor& operator*() const { return tensor_; }
  const Tensor* operator->() const { return &tensor_; }

 private:
  Scratch block_;
  Tensor tensor_;
};

}  // namespace crate
