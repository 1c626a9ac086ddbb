// ista: proximal gradient steps for a non-negative sparse code in a square dictionary D, started at the input itself.
// v and y (.., d), D (d, d), eta (1), lambda (1) or (d), residual (.., d). As columns:
//   z_0 = v      r_s = v - D z_(s-1)      z_s = relu(z_(s-1) + eta D' r_s - eta lambda), s = 1..steps
//   y = z_steps [+ residual]
// One step is Yu et al., "White-box transformers via sparse rate reduction", 2023, eq. 17, with two products for three:
// D' v - D' D v = D' (v - D v). In rows D z is z D'; D is the authors' `weight`.
// frozen, the gates [z_s > 0] of every step held: d_v as in the backward, constants -eta g . lambda.
#pragma once
#include <vector>

#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct IstaArgs {
  Tensor dict;
  Tensor eta;
  Tensor lambda;
  int steps = 1;
  Tensor residual = {};
  Site site = {};  // taps "pre" (the last argument of relu) and "code" (read or edited before the residual)
};

/// eta and lambda get gradients when they are parameters of the run. Throws Error when the shapes do not fit.
Tensor ista(Run& run, const Tensor& v, const IstaArgs& args);

/// 4 rows d^2 operations a step; the backward twice that.
Cost ista_cost(int64_t rows, int64_t d, int steps);

/// One call as its kernels see it.
struct IstaCall {
  Tensor v, dict, eta, lambda, residual, y;
  int steps;
  Tensor code;                  // z_steps; y itself when there is no residual
  Tensor pre;                   // the last argument of relu, when a tap asks for it
  Edit edit = {};               // of the code by a tap, while a frozen run records
  std::vector<Tensor> earlier;  // z_1 .. z_(steps-1), kept for the frozen rule and by the cpu kernel for its backward
  std::vector<Tensor> resids;   // r_1 .. r_steps, likewise
  Tensor gates = {};            // of z_steps, a bit each (ops/threshold.h): all that the cpu's backward reads of it
};
struct IstaGrad {
  Tensor d_y;
  GradTo d_v, d_dict, d_eta, d_lambda;
};

namespace ref {

/// The way of one token: z[0] = v .. z[steps], r[s] that leads from z[s] to z[s + 1], the last argument of relu.
template <class T> struct IstaPath {
  std::vector<std::vector<T>> z, r;
  std::vector<T> pre;
};

template <class T> IstaPath<T> ista_path(const IstaCall& c, int64_t row) {
  const int64_t d = c.v.cols(), per_atom = c.lambda.numel() > 1;
  const T *v = c.v.as<T>() + row * d, *dict = c.dict.as<T>(), *lambda = c.lambda.as<T>();
  IstaPath<T> p{{{v, v + d}}, {}, std::vector<T>(d)};
  for (int s = 0; s < c.steps; ++s) {
    std::vector<T> r(v, v + d), z = p.z.back();
    for (int64_t j = 0; j < d; ++j)
      for (int64_t k = 0; k < d; ++k) r[j] -= dict[j * d + k] * p.z.back()[k];
    for (int64_t k = 0; k < d; ++k) {
      T match = 0;
      for (int64_t j = 0; j < d; ++j) match += dict[j * d + k] * r[j];
      p.pre[k] = z[k] + *c.eta.as<T>() * (match - lambda[k * per_atom]);
      z[k] = relu(p.pre[k]);
    }
    p.z.push_back(z);
    p.r.push_back(r);
  }
  return p;
}

template <class T> void ista(const IstaCall& c) {
  const int64_t d = c.v.cols();
  for (int64_t i = 0; i < c.v.rows(); ++i) {
    const IstaPath<T> p = ista_path<T>(c, i);
    std::copy_n(p.z.back().data(), d, c.code.as<T>() + i * d);
    for (std::size_t s = 0; s < c.earlier.size(); ++s) std::copy_n(p.z[s + 1].data(), d, c.earlier[s].as<T>() + i * d);
    if (c.pre) std::copy_n(p.pre.data(), d, c.pre.as<T>() + i * d);
  }
}

/// y = code + residual, once the code has been read or edited.
template <class T> void ista_finish(const IstaCall& c) {
  for (int64_t i = 0; i < c.y.numel(); ++i) c.y.as<T>()[i] = c.code.as<T>()[i] + c.residual.as<T>()[i];
}

/// From the last step to the first, with g = d_z [z_s > 0] and t = D g (columns):
///   d_D += eta (r_s g' - t z_(s-1)')      d_eta += t . r_s - g . lambda      d_lambda -= eta g
///   d_v += eta t      d_z <- g - eta D' t;  at last d_v += d_z, since z_0 = v.
template <class T> void ista_backward(const IstaCall& c, const IstaGrad& to) {
  const int64_t d = c.v.cols(), per_atom = c.lambda.numel() > 1;
  const T *dict = c.dict.as<T>(), *lambda = c.lambda.as<T>(), eta = *c.eta.as<T>();
  T *d_v = opened<T>(to.d_v), *d_dict = opened<T>(to.d_dict);
  T *d_eta = opened<T>(to.d_eta), *d_lambda = opened<T>(to.d_lambda);
  for (int64_t i = 0; i < c.v.rows(); ++i) {
    const IstaPath<T> p = ista_path<T>(c, i);
    const T* d_y = to.d_y.as<T>() + i * d;
    std::vector<T> d_z(d_y, d_y + d), d_row(d);
    for (int s = c.steps; s-- > 0;) {
      std::vector<T> g(d), t(d);
      for (int64_t k = 0; k < d; ++k) g[k] = re(p.z[s + 1][k]) > 0 ? d_z[k] : T{0};
      for (int64_t j = 0; j < d; ++j)
        for (int64_t k = 0; k < d; ++k) t[j] += dict[j * d + k] * g[k];
      d_z = g;
      for (int64_t j = 0; j < d; ++j) {
        d_row[j] += eta * t[j];
        if (d_eta) *d_eta += t[j] * p.r[s][j] - g[j] * lambda[j * per_atom];
        if (d_lambda) d_lambda[j * per_atom] -= eta * g[j];
        for (int64_t k = 0; k < d; ++k) {
          d_z[k] -= eta * dict[j * d + k] * t[j];
          if (d_dict) d_dict[j * d + k] += eta * (p.r[s][j] * g[k] - t[j] * p.z[s][k]);
        }
      }
    }
    for (int64_t j = 0; d_v && j < d; ++j) d_v[i * d + j] += d_row[j] + d_z[j];
  }
}

}  // namespace ref

}  // namespace crate
