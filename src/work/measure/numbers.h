// numbers: what a tensor of a real device holds, in double.
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace crate {

/// Throws Error when the tensor holds neither f32 nor f64.
inline std::vector<double> doubles_of(const Tensor& t) {
  if (t.dtype == Dtype::f32) return {t.as<float>(), t.as<float>() + t.numel()};
  return {t.as<double>(), t.as<double>() + t.numel()};
}

}  // namespace crate
