// frozen: what the frozen rules of the operators share (run/run.h tells what a frozen walk is). The rules are written
// once for every device: their products are gemm's, the rest are loops over rows.
#pragma once
#include <string>
#include <vector>

#include "run/run.h"

namespace crate::frozen {

/// Does this run record a frozen walk in double? Its products are blocked (tensor/gemm_f64.h), so the wide operators
/// take their forward as products too, where the templates of ref would loop.
inline bool in_double(const Run& run) { return run.frozen() && run.recording() && run.real() == Dtype::f64; }

/// Working memory in the device's numbers, given back when it leaves scope.
class Block {
 public:
  Block(Device& device, const Shape& shape)
      : memory_(device.pool(), static_cast<std::size_t>(shape.numel()) * size_of(device.real())),
        tensor_{memory_.as<void>(), shape, device.real(), -1} {}
  const Tensor& operator*() const { return tensor_; }
  const Tensor* operator->() const { return &tensor_; }

 private:
  Scratch memory_;
  Tensor tensor_;
};

/// One number a row: factor * sum_j d_y[i, j] c[j], in double. c holds one number a column, or one for all.
std::vector<double> row_dots(const Tensor& d_y, const Tensor& c, double factor = 1);

/// The one number of a tensor.
double number(const Tensor& t);

/// g = gate o d_z, where gate is [z > 0].
void mask(const Tensor& d_z, const Tensor& z, const Tensor& g);
/// What a tap's edit of a code does to the gradient on its way back: g <- slope o g, and the edit's constants
/// leave d_code . constant. Without an edit nothing happens.
void heed(Run& run, const Site& site, const Edit& edit, const Tensor& d_code, const Tensor& g);
/// to (+)= factor by.
void grow(const GradTo& to, double factor, const Tensor& by);

/// The gradient at the code inside an operator: what the caller seeded there plus d_y read through `weight`,
/// d_code = d_y W' (transposed) or d_y W. d_y may be empty. Empty when nothing arrived.
Tensor read_through(Run& run, const Tensor& code, const Tensor& d_y, const Tensor& weight, bool transposed);

}  // namespace crate::frozen
