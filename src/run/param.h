// param: one named weight tensor with its gradient.
#pragma once
#include <string>

#include "tensor/tensor.h"

namespace crate {

struct Param {
  std::string name;       // "blocks.3.mssa.u"
  Tensor value;           // in the device's real dtype
  Tensor grad;            // same shape; meaningful only when has_grad
  bool has_grad = false;  // false: the next writer sets, true: it adds (several uses, or micro-batches)
  bool decay = false;     // weight decay applies
};

}  // namespace crate
