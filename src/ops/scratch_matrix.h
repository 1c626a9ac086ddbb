// scratch_matrix: an f32 matrix of working memory, given back when it leaves scope.
#pragma once
#include "tensor/device.h"

namespace crate {

class ScratchMatrix {
 public:
  ScratchMatrix(Device& device, int64_t rows, int64_t cols)
      : block_(device.pool(), static_cast<std::size_t>(rows * cols) * sizeof(float)),
        tensor_{block_.as<float>(), {rows, cols}, Dtype::f32, -1} {}
  const Tensor& operator*() const { return tensor_; }
  const Tensor* operator->() const { return &tensor_; }

 private:
  Scratch block_;
  Tensor tensor_;
};

}  // namespace crate
