#include "ops/patch_loss.h"

#include "base/parallel.h"
#include "tensor/vector.h"

namespace crate {
namespace {

// A patch's target is mean and 1 / s away from its numbers; 0 and 1 when it is not normed.
struct Norm {
  float mean, inv;
};

CRATE_CLONES Norm norm_of(const float* t, int64_t n) {
  const float mean = vec::sum(n, [t](int64_t j) { return t[j]; }) / static_cast<float>(n);
  const float squares = vec::sum(n, [t, mean](int64_t j) { return (t[j] - mean) * (t[j] - mean); });
  return {mean, 1.0F / std::sqrt(squares / static_cast<float>(n - 1) + static_cast<float>(norm_pix_eps))};
}

Norm norm_of_patch(const PatchLossCall& c, int64_t i) {
  return c.norm_pix ? norm_of(c.target.as<float>() + i * c.target.cols(), c.target.cols()) : Norm{0, 1};
}

CRATE_CLONES float squares(const float* p, const float* t, Norm norm, int64_t n) {
  return vec::sum(n, [=](int64_t j) {
    const float off = p[j] - (t[j] - norm.mean) * norm.inv;
    return off * off;
  });
}

CRATE_CLONES void back_pred(const float* p, const float* t, Norm norm, float share, bool add, float* to, int64_t n) {
  vec::put(to, add, n, [=](int64_t j) { return share * (p[j] - (t[j] - norm.mean) * norm.inv); });
}

CRATE_CLONES void back_target(const float* p, const float* t, Norm norm, bool normed, float share, bool add, float* to,
                              int64_t n) {
  const auto want = [=](int64_t j) { return (t[j] - norm.mean) * norm.inv; };
  float g_mean = 0, gh = 0;
  if (normed) {
    g_mean = vec::sum(n, [=](int64_t j) { return share * (want(j) - p[j]); }) / static_cast<float>(n);
    gh = vec::sum(n, [=](int64_t j) { return share * (want(j) - p[j]) * want(j); }) / static_cast<float>(n - 1);
  }
  vec::put(to, add, n, [=](int64_t j) { return (share * (want(j) - p[j]) - g_mean - want(j) * gh) * norm.inv; });
}

void forward_ref(Device&, const PatchLossCall& c) {
  visit_ref(c.pred.dtype, [&](auto zero) { ref::patch_loss<decltype(zero)>(c); });
}

// A sum a patch, added up in their order: the same bits for every number of threads.
void forward_cpu(Device& device, const PatchLossCall& c) {
  const int64_t n = c.pred.cols(), rows = c.pred.rows();
  const Scratch sums(device.pool(), static_cast<std::size_t>(rows) * sizeof(float));
  parallel_for(rows, 16, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      const float weight = c.mask.as<float>()[i];
      sums.as<float>()[i] = weight == 0 ? 0
                                        : weight * squares(c.pred.as<float>() + i * n, c.target.as<float>() + i * n,
                                                           norm_of_patch(c, i), n);
    }
  });
  double sum = 0;
  for (int64_t i = 0; i < rows; ++i) sum += sums.as<float>()[i];
  *c.loss.as<float>() = static_cast<float>(sum / (c.masked * static_cast<double>(n)));
}

void backward_ref(Device&, const PatchLossCall& c, const PatchLossGrad& to) {
  visit_ref(c.pred.dtype, [&](auto zero) { ref::patch_loss_backward<decltype(zero)>(c, to); });
}

void backward_cpu(Device&, const PatchLossCall& c, const PatchLossGrad& to) {
  const int64_t n = c.pred.cols();
  const double factor = 2 * c.weight * *to.d_loss.as<float>() / (c.masked * static_cast<double>(n));
  parallel_for(c.pred.rows(), 16, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      const float *p = c.pred.as<float>() + i * n, *t = c.target.as<float>() + i * n;
      const auto share = static_cast<float>(factor * c.mask.as<float>()[i]);
      const Norm norm = norm_of_patch(c, i);
      if (to.d_pred) back_pred(p, t, norm, share, to.d_pred.add, to.d_pred.to.as<float>() + i * n, n);
      if (to.d_target)
        back_target(p, t, norm, c.norm_pix, share, to.d_target.add, to.d_target.to.as<float>() + i * n, n);
    }
  });
}

constexpr Kernels<void(Device&, const PatchLossCall&)> forward{"patch_loss", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const PatchLossCall&, const PatchLossGrad&)> backward{"patch_loss backward",
                                                                                      backward_ref, backward_cpu};

double sum_of(const Tensor& mask) {
  double sum = 0;
  if (mask.dtype == Dtype::f32) {
    for (int64_t i = 0; i < mask.numel(); ++i) sum += mask.as<float>()[i];
    return sum;
  }
  visit_ref(mask.dtype, [&](auto zero) {
    for (int64_t i = 0; i < mask.numel(); ++i) sum += re(mask.as<decltype(zero)>()[i]);
  });
  return sum;
}

}  // namespace

Tensor patch_loss(Run& run, const Tensor& pred, const PatchLossArgs& args) {
  require(pred.shape.rank() == 3 && args.target.shape == pred.shape && args.mask.numel() == pred.rows(),
          "[patch_loss] expected predictions and targets (b, n, l) and a mask (b, n), came {}, {} and {}",
          pred.shape.str(), args.target.shape.str(), args.mask.shape.str());
  require(!args.norm_pix || pred.cols() > 1, "[patch_loss] a patch of one number has no variance; leave norm_pix out");
  const double masked = sum_of(args.mask);
  require(masked > 0, "[patch_loss] no patch is masked: nothing to predict");
  const Tensor loss = run.make({1});
  const PatchLossCall call{pred, args.target, args.mask, loss, args.norm_pix, args.weight, masked};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = patch_loss_cost(pred.numel());
  run.record("patch_loss", loss, cost, cost, [&run, call, kind] {
    const Tensor d_loss = run.grad_of(call.loss);
    const GradTo d_pred = run.grad_to(call.pred);
    backward.on(kind)(run.device(), call, {d_loss, d_pred, run.grad_to(call.target)});
  });
  return loss;
}

Cost patch_loss_cost(int64_t numbers) {
  return {4.0 * static_cast<double>(numbers), 8.0 * static_cast<double>(numbers)};
}

}  // namespace crate
