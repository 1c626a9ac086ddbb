// mlp: h = act(W_in x [+ b_in]), y = W_out h [+ b_out] [+ residual]; act is the exact GELU or ReLU.
// x, y and residual (.., d), W_in (m, d), b_in (m), W_out (d, m), b_out (d).
// frozen, the gate of a = W_in x + b_in held (ReLU: [a > 0], GELU: Phi(a); h = gate o a):
//   d_h = W_out' d_y      g = gate o d_h      d_x = W_in' g      constants g . b_in, d_y . b_out
#pragma once
#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

#include "ops/reference.h"
#include "run/run.h"

namespace crate {

enum class Activation : uint8_t { gelu, relu };

struct MlpArgs {
  Tensor w_in;
  Tensor b_in = {};
  Tensor w_out;
  Tensor b_out = {};
  Activation act = Activation::gelu;
  Tensor residual = {};
  Site site = {};  // tap "hidden" (h, read or edited)
};

/// Throws Error when the shapes do not fit.
Tensor mlp(Run& run, const Tensor& x, const MlpArgs& args);

/// 4 rows m d operations; the backward twice that.
Cost mlp_cost(int64_t rows, int64_t d, int64_t m);

/// One call as its kernels see it.
struct MlpCall {
  Tensor x, w_in, b_in, w_out, b_out, residual, y;
  Activation act;
  Tensor hidden;                // (rows, m) h, when it is kept
  Tensor slope;                 // (rows, m) act', kept by the cpu kernel for its backward (gelu only); frozen: the gate
  bool frozen = false;          // on ref too
  Edit edit = {};               // of h by a tap, while a frozen run records
  std::function<void()> watch;  // called between h and the read-out when a tap listens
};
struct MlpGrad {
  Tensor d_y;
  GradTo d_x, d_w_in, d_b_in, d_w_out, d_b_out;
};

namespace ref {

/// gelu(a) = a Phi(a), gelu'(a) = Phi(a) + a phi(a); phi and Phi the standard normal density and its integral.
inline double normal_density(double a) { return std::exp(-0.5 * a * a) / std::sqrt(2 * std::numbers::pi); }
inline double normal_below(double a) { return 0.5 * std::erfc(-a / std::numbers::sqrt2); }
/// To first order in the imaginary part, which is all that the complex step reads.
inline std::complex<double> normal_density(std::complex<double> a) {
  return normal_density(a.real()) * std::complex<double>(1, -a.real() * a.imag());
}
inline std::complex<double> normal_below(std::complex<double> a) {
  return {normal_below(a.real()), normal_density(a.real()) * a.imag()};
}

template <class T> T activate(Activation act, const T& a, bool frozen = false) {
  return act == Activation::relu ? relu(a) : a * normal_below(held(frozen, a));
}
template <class T> T slope(Activation act, const T& a) {
  if (act == Activation::relu) return re(a) > 0 ? 1 : 0;
  return normal_below(a) + a * normal_density(a);
}

/// The arguments of act for one token.
template <class T> std::vector<T> mlp_pre(const MlpCall& c, int64_t row) {
  const int64_t d = c.x.cols(), m = c.w_in.rows();
  std::vector<T> pre(m);
  for (int64_t i = 0; i < m; ++i) {
    if (c.b_in) pre[i] = c.b_in.as<T>()[i];
    for (int64_t j = 0; j < d; ++j) pre[i] += c.w_in.as<T>()[i * d + j] * c.x.as<T>()[row * d + j];
  }
  return pre;
}

template <class T> void mlp(const MlpCall& c) {
  const int64_t rows = c.x.rows(), d = c.x.cols(), m = c.w_in.rows();
  std::vector<T> own(rows * m);
  T* h = c.hidden ? c.hidden.as<T>() : own.data();
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<T> pre = mlp_pre<T>(c, row);
    for (int64_t i = 0; i < m; ++i) h[row * m + i] = activate(c.act, pre[i], c.frozen);
    for (int64_t i = 0; c.frozen && c.slope && i < m; ++i) c.slope.as<T>()[row * m + i] = normal_below(pre[i]);
  }
  if (c.watch) c.watch();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t j = 0; j < d; ++j) {
      T sum = c.residual ? c.residual.as<T>()[row * d + j] : T{0};
      if (c.b_out) sum += c.b_out.as<T>()[j];
      for (int64_t i = 0; i < m; ++i) sum += c.w_out.as<T>()[j * m + i] * h[row * m + i];
      c.y.as<T>()[row * d + j] = sum;
    }
  }
}

/// With g = act' (W_out' d_y):  d_W_out = d_y h'   d_b_out = d_y   d_W_in = g x'   d_b_in = g   d_x = W_in' g.
template <class T> void mlp_backward(const MlpCall& c, const MlpGrad& to) {
  const int64_t d = c.x.cols(), m = c.w_in.rows();
  T *d_x = opened<T>(to.d_x), *d_w_in = opened<T>(to.d_w_in), *d_b_in = opened<T>(to.d_b_in);
  T *d_w_out = opened<T>(to.d_w_out), *d_b_out = opened<T>(to.d_b_out);
  for (int64_t row = 0; row < c.x.rows(); ++row) {
    const std::vector<T> pre = mlp_pre<T>(c, row);
    const T *x = c.x.as<T>() + row * d, *d_y = to.d_y.as<T>() + row * d;
    for (int64_t j = 0; d_b_out && j < d; ++j) d_b_out[j] += d_y[j];
    for (int64_t i = 0; i < m; ++i) {
      T d_h = 0;
      for (int64_t j = 0; j < d; ++j) {
        d_h += c.w_out.as<T>()[j * m + i] * d_y[j];
        if (d_w_out) d_w_out[j * m + i] += d_y[j] * activate(c.act, pre[i]);
      }
      const T g = d_h * slope(c.act, pre[i]);
      if (d_b_in) d_b_in[i] += g;
      for (int64_t j = 0; j < d; ++j) {
        if (d_w_in) d_w_in[i * d + j] += g * x[j];
        if (d_x) d_x[row * d + j] += g * c.w_in.as<T>()[i * d + j];
      }
    }
  }
}

}  // namespace ref

}  // namespace crate
