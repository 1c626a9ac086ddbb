// patch_loss: how well masked patches were predicted. p and t (b, n, l): predictions and the patches' numbers; mask
// (b, n), 1 = counts. With M the sum of the mask,
//   loss = 1/M sum_i mask_i 1/l sum_j (p_ij - t'_ij)^2
// t' = t, or with norm_pix t'_i = (t_i - mean) / s, s = sqrt(var + 1e-6), var of l - 1, over the numbers of a patch.
//
// backward: d_p = d_loss weight 2 mask_i / (M l) (p - t')   d_t' = -d_p   and with norm_pix, g = d_t' and h = t_i -
// mean,
//           d_t = (g - mean(g)) / s - h sum(g h) / ((l - 1) s^3)
#pragma once
#include <cmath>
#include <vector>

#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct PatchLossArgs {
  Tensor target;
  Tensor mask;
  bool norm_pix = false;
  double weight = 1;  // factor on the gradient, not on the loss
};

/// (1). The mask carries no gradient. Throws Error when the shapes do not fit or the mask is all 0.
Tensor patch_loss(Run& run, const Tensor& pred, const PatchLossArgs& args);

Cost patch_loss_cost(int64_t numbers);

/// One call as its kernels see it.
struct PatchLossCall {
  Tensor pred, target, mask, loss;
  bool norm_pix;
  double weight, masked;  // masked: the sum of the mask
};
struct PatchLossGrad {
  Tensor d_loss;
  GradTo d_pred, d_target;
};

constexpr double norm_pix_eps = 1e-6;

namespace ref {

/// What patch i should have been, in `to`; gives 1 / s.
template <class T> T patch_target(const PatchLossCall& c, int64_t i, T* to) {
  const int64_t n = c.target.cols();
  const T* t = c.target.as<T>() + i * n;
  std::copy_n(t, n, to);
  if (!c.norm_pix) return 1;
  T mean = 0, var = 0;
  for (int64_t j = 0; j < n; ++j) mean += t[j] / static_cast<double>(n);
  for (int64_t j = 0; j < n; ++j) var += (t[j] - mean) * (t[j] - mean) / static_cast<double>(n - 1);
  const T inv = 1.0 / std::sqrt(var + norm_pix_eps);
  for (int64_t j = 0; j < n; ++j) to[j] = (t[j] - mean) * inv;
  return inv;
}

template <class T> void patch_loss(const PatchLossCall& c) {
  const int64_t n = c.pred.cols();
  std::vector<T> want(static_cast<std::size_t>(n));
  T& loss = *c.loss.as<T>() = 0;
  for (int64_t i = 0; i < c.pred.rows(); ++i) {
    patch_target(c, i, want.data());
    const T *p = c.pred.as<T>() + i * n, share = c.mask.as<T>()[i] / (c.masked * static_cast<double>(n));
    for (int64_t j = 0; j < n; ++j) loss += share * (p[j] - want[j]) * (p[j] - want[j]);
  }
}

template <class T> void patch_loss_backward(const PatchLossCall& c, const PatchLossGrad& to) {
  const int64_t n = c.pred.cols();
  std::vector<T> want(static_cast<std::size_t>(n));
  T *d_pred = opened<T>(to.d_pred), *d_target = opened<T>(to.d_target);
  for (int64_t i = 0; i < c.pred.rows(); ++i) {
    const T inv = patch_target(c, i, want.data());
    const T* p = c.pred.as<T>() + i * n;
    const T share = *to.d_loss.as<T>() * (2 * c.weight) * c.mask.as<T>()[i] / (c.masked * static_cast<double>(n));
    T g_mean = 0, gh = 0;  // of g = d_t', h = t' (the row over s)
    for (int64_t j = 0; j < n; ++j) {
      const T g = share * (want[j] - p[j]);
      if (d_pred) d_pred[i * n + j] -= g;
      g_mean += g / static_cast<double>(n);
      gh += g * want[j] / static_cast<double>(n - 1);
    }
    for (int64_t j = 0; d_target && j < n; ++j) {
      const T g = share * (want[j] - p[j]);
      d_target[i * n + j] += c.norm_pix ? (g - g_mean - want[j] * gh) * inv : g;
    }
  }
}

}  // namespace ref

}  // namespace crate
