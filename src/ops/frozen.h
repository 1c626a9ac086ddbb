// frozen: what the frozen rules of the operators share (run/run.h tells what a frozen walk is). The rules are written
// once for every device: their products are gemm's, the rest are loops over rows.
#pragma once
#include <string>
#include <vector>

#include "run/run.h"

namespace crate::frozen {

/// One number a row: factor * sum_j d_y[i, j] c[j], in double. c holds one number a column, or one for all.
std::vector<double> row_dots(const Tensor& d_y, const Tensor& c, double factor = 1);

/// The one number of a tensor.
double number(const Tensor& t);

/// g = gate o d_z, where gate is [z > 0].
void mask(const Tensor& d_z, const Tensor& z, const Tensor& g);
/// to (+)= factor by.
void grow(const GradTo& to, double factor, const Tensor& by);

/// The gradient at the code inside an operator: what the caller seeded there plus d_y read through `weight`,
/// d_code = d_y W' (transposed) or d_y W. d_y may be empty. Empty when nothing arrived.
Tensor read_through(Run& run, const Tensor& code, const Tensor& d_y, const Tensor& weight, bool transposed);

}  // namespace crate::frozen
