// numbers: tensors of any real dtype read in double, and their sums.
#pragma once
#include <span>
#include <vector>

#include "tensor/device.h"

namespace crate {

/// f(T{}) for the scalar of a tensor of a device in real numbers.
template <class F> void visit_numbers(Dtype dtype, F&& f) {
  if (dtype == Dtype::f32) return f(float{});
  require(dtype == Dtype::f64, "[explain] expected f32 or f64, came {}", name_of(dtype));
  f(double{});
}

inline double number_at(const Tensor& t, int64_t i) {
  return t.dtype == Dtype::f32 ? double{t.as<float>()[i]} : t.as<double>()[i];
}

/// to = the numbers begin .. begin + to.size() - 1 of a tensor.
inline void read_numbers(const Tensor& t, int64_t begin, std::span<double> to) {
  visit_numbers(t.dtype, [&](auto zero) {
    const auto* from = t.as<decltype(zero)>() + begin;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i];
  });
}

inline std::vector<double> numbers_of(const Tensor& t, int64_t begin, int64_t count) {
  std::vector<double> out(static_cast<std::size_t>(count));
  read_numbers(t, begin, out);
  return out;
}

/// Sum of a_i b_i over `count` numbers from `begin` in both; 0 when either tensor is empty.
inline double dot_numbers(const Tensor& a, int64_t a_begin, const Tensor& b, int64_t b_begin, int64_t count) {
  double sum = 0;
  if (!a || !b) return sum;
  visit_numbers(a.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *x = a.as<T>() + a_begin, *y = b.as<T>() + b_begin;
    for (int64_t i = 0; i < count; ++i) sum += double{x[i]} * double{y[i]};
  });
  return sum;
}

}  // namespace crate
