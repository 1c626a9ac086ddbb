#include "tensor/gemm.h"

#include "tensor/gemm_cpu.h"
#include "tensor/gemm_f64.h"
#include "tensor/packed.h"

namespace crate {
namespace {

// `sum` tells op(a) op(b) at (i, j).
template <class T, class F> void gemm_ref(const Gemm& g, const GemmShape& s, F&& sum) {
  const T* bias = g.bias ? g.bias.as<T>() : nullptr;
  const T* plus = g.plus ? g.plus.as<T>() : nullptr;
  T* c = g.c.as<T>();
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      T value = g.alpha * sum(i, j);
      if (g.add) value += c[i * s.n + j];
      if (bias) value += bias[j];
      if (plus) value += plus[i * s.n + j];
      c[i * s.n + j] = g.relu && re(value) <= 0 ? T{0} : value;
    }
  }
}

template <class T> void plain_loop(const Gemm& g, const GemmShape& s) {
  const T *a = g.a.as<T>(), *b = g.b.as<T>();
  gemm_ref<T>(g, s, [&](int64_t i, int64_t j) {
    T sum = 0;
    for (int64_t l = 0; l < s.k; ++l)
      sum += (g.trans_a ? a[l * s.m + i] : a[i * s.k + l]) * (g.trans_b ? b[j * s.k + l] : b[l * s.n + j]);
    return sum;
  });
}

// Blocks give the same bits; packing them pays from some rows on.
void gemm_double(Device& device, const Gemm& g, const GemmShape& s) {
  constexpr int64_t worth_packing = 1 << 12;
  if (s.m < 4 || s.n * s.k < worth_packing) return plain_loop<double>(g, s);
  const Scratch sums(device.pool(), static_cast<std::size_t>(s.m * s.n) * sizeof(double));
  const double* at = sums.as<double>();
  products_f64(device, g, s, sums.as<double>());
  gemm_ref<double>(g, s, [&](int64_t i, int64_t j) { return at[i * s.n + j]; });
}

GemmShape checked_shape(const Gemm& g) {
  const GemmShape s{g.c.rows(), g.c.cols(), g.trans_a ? g.a.rows() : g.a.cols()};
  const int64_t a_m = g.trans_a ? g.a.cols() : g.a.rows();
  const int64_t b_k = g.trans_b ? g.b.cols() : g.b.rows(), b_n = g.trans_b ? g.b.rows() : g.b.cols();
  require(a_m == s.m && b_k == s.k && b_n == s.n, "[gemm] c {} does not fit a {}{} times b {}{}", g.c.shape.str(),
          g.a.shape.str(), g.trans_a ? "'" : "", g.b.shape.str(), g.trans_b ? "'" : "");
  require(!g.bias || g.bias.numel() == s.n, "[gemm] bias must hold {} numbers, came {}", s.n, g.bias.shape.str());
  require(!g.plus || (g.plus.rows() == s.m && g.plus.cols() == s.n), "[gemm] plus must be ({}, {}), came {}", s.m, s.n,
          g.plus.shape.str());
  return s;
}

}  // namespace

void gemm(Device& device, const Gemm& g) {
  const GemmShape s = checked_shape(g);
  if (s.m == 0 || s.n == 0) return;
  if (device.kind() == DeviceKind::cpu) return gemm_cpu(device, g, s);
  if (g.c.dtype == Dtype::f64) return gemm_double(device, g, s);
  visit_ref(g.c.dtype, [&](auto zero) { plain_loop<decltype(zero)>(g, s); });
}

void weights_changed(Device& device) { device.packed().invalidate(); }

double gemm_flops(int64_t m, int64_t n, int64_t k) {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

}  // namespace crate
