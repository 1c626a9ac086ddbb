// ista_wide: proximal gradient steps for a non-negative sparse code in a wide dictionary W, started at zero, and the
// read-out of that code. v and y (.., d), W (m, d) with one atom a row, V = dict_out (m, d) or W itself, eta (1),
// lambda (1) or (m), residual (.., d). As columns:
//   z_0 = 0      r_s = v - W' z_(s-1)      z_s = relu(z_(s-1) + eta W r_s - eta lambda), s = 1..steps
//   y = V' z_steps [+ residual]
// Two tied steps are the block of CRATE-LM (Bai and Ma, "Improving neuron-level interpretability with white-box
// language models", 2024) with four products for five, since r_1 = v; two steps with dict_out and residual that of
// CRATE-alpha.
// frozen, the gates [z_s > 0] of every step held: d_v as in the backward, constants -eta g . lambda.
#pragma once
#include <functional>
#include <vector>

#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct IstaWideArgs {
  Tensor dict;
  Tensor dict_out = {};  // empty: tied
  Tensor eta;
  Tensor lambda;
  int steps = 2;
  Tensor residual = {};
  /// Taps "code" (read or edited before the read-out), "code0" (the first code, when steps > 1) and "pre" (the last
  /// argument of relu).
  Site site = {};
};

/// eta and lambda get gradients when they are parameters of the run. Throws Error when the shapes do not fit.
Tensor ista_wide(Run& run, const Tensor& v, const IstaWideArgs& args);

/// 4 rows m d operations a step; the backward twice that.
Cost ista_wide_cost(int64_t rows, int64_t d, int64_t m, int steps);

/// One call as its kernels see it.
struct IstaWideCall {
  Tensor v, dict, dict_out, eta, lambda, residual, y;  // dict_out is dict when tied
  int steps;
  Tensor pre;                   // the last argument of relu, when a tap asks for it
  std::vector<Tensor> codes;    // z_1 .. z_steps; an empty one is not kept
  std::vector<Tensor> resids;   // r_2 .. r_steps, kept by the cpu kernel for its backward
  Edit edit = {};               // of the code by a tap, while a frozen run records
  std::function<void()> watch;  // called between the code and the read-out when a tap listens
};
struct IstaWideGrad {
  Tensor d_y;
  GradTo d_v, d_dict, d_dict_out, d_eta, d_lambda;  // d_dict_out only when untied
};

namespace ref {

/// The way of one token: z[0] = 0 .. z[steps], r[s] that leads from z[s] to z[s + 1], the last argument of relu.
template <class T> struct IstaWidePath {
  std::vector<std::vector<T>> z, r;
  std::vector<T> pre;
};

template <class T> IstaWidePath<T> ista_wide_path(const IstaWideCall& c, int64_t row) {
  const int64_t d = c.v.cols(), m = c.dict.rows(), per_atom = c.lambda.numel() > 1;
  const T *v = c.v.as<T>() + row * d, *dict = c.dict.as<T>(), *lambda = c.lambda.as<T>();
  IstaWidePath<T> p{{std::vector<T>(m)}, {}, std::vector<T>(m)};
  for (int s = 0; s < c.steps; ++s) {
    std::vector<T> r(v, v + d), z = p.z.back();
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < d; ++j) r[j] -= dict[i * d + j] * p.z.back()[i];
    for (int64_t i = 0; i < m; ++i) {
      T match = 0;
      for (int64_t j = 0; j < d; ++j) match += dict[i * d + j] * r[j];
      p.pre[i] = z[i] + *c.eta.as<T>() * (match - lambda[i * per_atom]);
      z[i] = relu(p.pre[i]);
    }
    p.z.push_back(z);
    p.r.push_back(r);
  }
  return p;
}

template <class T> void ista_wide(const IstaWideCall& c) {
  const int64_t rows = c.v.rows(), d = c.v.cols(), m = c.dict.rows();
  std::vector<T> code(rows * m);
  for (int64_t row = 0; row < rows; ++row) {
    const IstaWidePath<T> p = ista_wide_path<T>(c, row);
    std::copy_n(p.z.back().data(), m, code.data() + row * m);
    for (int s = 0; s < c.steps; ++s)
      if (c.codes[s]) std::copy_n(p.z[s + 1].data(), m, c.codes[s].template as<T>() + row * m);
    if (c.pre) std::copy_n(p.pre.data(), m, c.pre.as<T>() + row * m);
  }
  if (c.watch) c.watch();
  const T* z = c.codes.back() ? c.codes.back().template as<T>() : code.data();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t j = 0; j < d; ++j) {
      T sum = c.residual ? c.residual.as<T>()[row * d + j] : T{0};
      for (int64_t i = 0; i < m; ++i) sum += c.dict_out.as<T>()[i * d + j] * z[row * m + i];
      c.y.as<T>()[row * d + j] = sum;
    }
  }
}

/// From the last step to the first, with d_z = V d_y at the start, g = d_z [z_s > 0] and h = W' g (columns):
///   d_V += z d_y'      d_W += eta (g r_s' - z_(s-1) h')      d_v += eta h      d_z <- g - eta W h
///   d_eta += h . r_s - g . lambda      d_lambda -= eta g
template <class T> void ista_wide_backward(const IstaWideCall& c, const IstaWideGrad& to) {
  const int64_t d = c.v.cols(), m = c.dict.rows(), per_atom = c.lambda.numel() > 1;
  const T *dict = c.dict.as<T>(), *dict_out = c.dict_out.as<T>(), *lambda = c.lambda.as<T>(), eta = *c.eta.as<T>();
  T *d_v = opened<T>(to.d_v), *d_dict = opened<T>(to.d_dict), *d_out = opened<T>(to.d_dict_out);
  T *d_eta = opened<T>(to.d_eta), *d_lambda = opened<T>(to.d_lambda);
  if (!to.d_dict_out && dict == dict_out) d_out = d_dict;
  for (int64_t row = 0; row < c.v.rows(); ++row) {
    const IstaWidePath<T> p = ista_wide_path<T>(c, row);
    const T* d_y = to.d_y.as<T>() + row * d;
    std::vector<T> d_z(m);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < d; ++j) {
        d_z[i] += dict_out[i * d + j] * d_y[j];
        if (d_out) d_out[i * d + j] += p.z.back()[i] * d_y[j];
      }
    }
    for (int s = c.steps; s-- > 0;) {
      std::vector<T> h(d);
      for (int64_t i = 0; i < m; ++i) {
        if (re(p.z[s + 1][i]) <= 0) d_z[i] = 0;
        for (int64_t j = 0; j < d; ++j) h[j] += dict[i * d + j] * d_z[i];
        if (d_eta) *d_eta -= d_z[i] * lambda[i * per_atom];
        if (d_lambda) d_lambda[i * per_atom] -= eta * d_z[i];
      }
      for (int64_t j = 0; j < d; ++j) {
        if (d_v) d_v[row * d + j] += eta * h[j];
        if (d_eta) *d_eta += h[j] * p.r[s][j];
      }
      for (int64_t i = 0; i < m; ++i) {
        const T g = d_z[i];
        for (int64_t j = 0; j < d; ++j) {
          d_z[i] -= eta * dict[i * d + j] * h[j];
          if (d_dict) d_dict[i * d + j] += eta * (g * p.r[s][j] - p.z[s][i] * h[j]);
        }
      }
    }
  }
}

}  // namespace ref

}  // namespace crate
