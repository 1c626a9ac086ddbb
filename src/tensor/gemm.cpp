#include "tensor/gemm.h"

#include "tensor/gemm_cpu.h"
#include "tensor/packed.h"

namespace crate {
namespace {

template <class T> void gemm_ref(const Gemm& g, const GemmShape& s) {
  const T *a = g.a.as<T>(), *b = g.b.as<T>();
  const T* bias = g.bias ? g.bias.as<T>() : nullptr;
  const T* plus = g.plus ? g.plus.as<T>() : nullptr;
  T* c = g.c.as<T>();
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      T sum = 0;
      for (int64_t l = 0; l < s.k; ++l) {
        sum += (g.trans_a ? a[l * s.m + i] : a[i * s.k + l]) * (g.trans_b ? b[j * s.k + l] : b[l * s.n + j]);
      }
      T value = g.alpha * sum;
      if (g.add) value += c[i * s.n + j];
      if (bias) value += bias[j];
      if (plus) value += plus[i * s.n + j];
      c[i * s.n + j] = g.relu && re(value) <= 0 ? T{0} : value;
    }
  }
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
  visit_ref(g.c.dtype, [&](auto zero) { gemm_ref<decltype(zero)>(g, s); });
}

void weights_changed(Device& device) { device.packed().invalidate(); }

double gemm_flops(int64_t m, int64_t n, int64_t k) {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

}  // namespace crate
