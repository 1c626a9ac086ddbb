#include "ops/threshold.h"

#include <algorithm>

#include "tensor/vector.h"
#include "tensor/wide.h"

namespace crate {
namespace {

CRATE_CLONES void mask_row(const float* d_z, const float* z, float* g, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) g[j] = z[j] > 0 ? d_z[j] : 0.0F;
}

CRATE_CLONES void mask_row_and_sum(const float* d_z, const float* z, float* g, float* sums, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) {
    const float kept = z[j] > 0 ? d_z[j] : 0.0F;
    g[j] = kept;
    sums[j] += kept;
  }
}

// Row `row` of 32: its bit of n words.
CRATE_CLONES void set_gates(const float* z, int row, int32_t* gates, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) gates[j] = (row == 0 ? 0 : gates[j]) | (z[j] > 0 ? 1 << row : 0);
}

CRATE_CLONES void gate_row(const float* d_z, const int32_t* gates, int row, float* g, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) g[j] = (gates[j] >> row & 1) != 0 ? d_z[j] : 0.0F;
}

CRATE_CLONES void add_row(const float* g, float* sums, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) sums[j] += g[j];
}

void mask_rows_by_gates(const Tensor& d_z, const Tensor& gates, const Tensor& g, float* sums) {
  const int64_t n = gates.cols();
  WideRows from(d_z), to(g);
  for (int64_t i = 0; i < d_z.rows(); ++i) {
    float* row = to.write(i);
    gate_row(from.read(i), gates.as<int32_t>() + i / gate_rows * n, static_cast<int>(i % gate_rows), row, n);
    if (sums) add_row(row, sums, n);
    to.done(i);
  }
}

CRATE_CLONES void relu_numbers(const float* pre, float* z, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) z[j] = pre[j] <= 0 ? 0.0F : pre[j];
}

CRATE_CLONES float dot(const float* a, const float* b, int64_t n) {
  return vec::sum(n, [a, b](int64_t j) { return a[j] * b[j]; });
}

CRATE_CLONES void combine_numbers(const float* a, float factor, const float* b, float* to, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) to[j] = a[j] + factor * b[j];
}

CRATE_CLONES void grow_numbers(float* to, bool add, float factor, const float* by, int64_t n) {
  vec::put(to, add, n, [=](int64_t j) { return factor * by[j]; });
}

}  // namespace

void check_threshold(const char* op, const Tensor& eta, const Tensor& lambda, int64_t n) {
  require(eta.numel() == 1, "[{}] eta must be (1), came {}", op, eta.shape.str());
  require(lambda.numel() == 1 || lambda.numel() == n, "[{}] lambda must be (1) or ({}), came {}", op, n,
          lambda.shape.str());
}

ThresholdShift::ThresholdShift(Device& device, const Tensor& eta, const Tensor& lambda, int64_t n)
    : data_(device.pool(), static_cast<std::size_t>(n) * sizeof(float)), n_(n) {
  const float step = *eta.as<float>(), *threshold = lambda.as<float>();
  const bool one = lambda.numel() == 1;
  for (int64_t j = 0; j < n; ++j) data_.as<float>()[j] = -step * threshold[one ? 0 : j];
}

Tensor ThresholdShift::tensor() const { return {data_.as<float>(), {n_}, Dtype::f32, -1}; }

void write_threshold(const Tensor& eta, const Tensor& lambda, const RowSums& sums, int64_t n, const ThresholdGrad& to) {
  const float step = *eta.as<float>(), *threshold = lambda.as<float>(), *total = sums.total();
  const bool one = lambda.numel() == 1;
  double d_eta = total[n], d_one = 0;
  for (int64_t j = 0; j < n; ++j) {
    d_eta -= double{threshold[one ? 0 : j]} * total[j];
    d_one -= double{step} * total[j];
  }
  if (to.d_eta) {
    float* d = to.d_eta.to.as<float>();
    *d = (to.d_eta.add ? *d : 0.0F) + static_cast<float>(d_eta);
  }
  if (!to.d_lambda) return;
  float* d = to.d_lambda.to.as<float>();
  const bool add = to.d_lambda.add;
  if (one) {
    *d = (add ? *d : 0.0F) + static_cast<float>(d_one);
    return;
  }
  for (int64_t j = 0; j < n; ++j) d[j] = (add ? d[j] : 0.0F) - step * total[j];
}

Tensor gates_of_rows(const Tensor& gates, int64_t lo, int64_t hi) {
  return gates.row_slice(lo / gate_rows, (hi + gate_rows - 1) / gate_rows);
}

void write_gates(const Tensor& z, const Tensor& gates) {
  const int64_t n = z.cols();
  WideRows from(z);
  for (int64_t i = 0; i < z.rows(); ++i)
    set_gates(from.read(i), static_cast<int>(i % gate_rows), gates.as<int32_t>() + i / gate_rows * n, n);
}

void mask_rows(const Tensor& d_z, const Tensor& z, const Tensor& g, float* sums) {
  if (z.dtype == Dtype::i32) return mask_rows_by_gates(d_z, z, g, sums);
  const int64_t n = z.cols();
  WideRows from(d_z), code(z), to(g);
  for (int64_t i = 0; i < z.rows(); ++i) {
    if (sums)
      mask_row_and_sum(from.read(i), code.read(i), to.write(i), sums, n);
    else
      mask_row(from.read(i), code.read(i), to.write(i), n);
    to.done(i);
  }
}

void relu_rows(const Tensor& pre, const Tensor& z) {
  WideRows from(pre), to(z);
  for (int64_t i = 0; i < z.rows(); ++i) {
    relu_numbers(from.read(i), to.write(i), z.cols());
    to.done(i);
  }
}

float dot_rows(const Tensor& a, const Tensor& b) {
  if (a.dtype == Dtype::f32 && b.dtype == Dtype::f32) return dot(a.as<float>(), b.as<float>(), a.numel());
  WideRows left(a), right(b);
  float sum = 0;
  for (int64_t i = 0; i < a.rows(); ++i) sum += dot(left.read(i), right.read(i), a.cols());
  return sum;
}

void grow(const Tensor& to, bool add, float factor, const Tensor& by) {
  WideRows from(by);
  for (int64_t i = 0; i < to.rows(); ++i)
    grow_numbers(to.as<float>() + i * to.cols(), add, factor, from.read(i), to.cols());
}

void combine(const Tensor& a, float factor, const Tensor& b, const Tensor& to) {
  WideRows left(a), right(b), sum(to);
  for (int64_t i = 0; i < a.rows(); ++i) {
    combine_numbers(left.read(i), factor, right.read(i), sum.write(i), a.cols());
    sum.done(i);
  }
}

}  // namespace crate
