#include "ops/class_loss.h"

#include "base/parallel.h"
#include "tensor/vector.h"

namespace crate {
namespace {

CRATE_CLONES float log_sum(const float* l, int64_t n) {
  const float top = vec::largest(n, [l](int64_t j) { return l[j]; });
  return top + std::log(vec::sum(n, [l, top](int64_t j) { return vec::exp(l[j] - top); }));
}

CRATE_CLONES float image_loss(const float* l, const float* t, int64_t n, float top) {
  return vec::sum(n, [l, t, top](int64_t j) { return t[j] * (top - l[j]); });
}

CRATE_CLONES void image_gradient(const float* l, const float* t, int64_t n, float top, float factor, bool add,
                                 float* to) {
  const float all = vec::sum(n, [t](int64_t j) { return t[j]; });
  vec::put(to, add, n, [=](int64_t j) { return factor * (all * vec::exp(l[j] - top) - t[j]); });
}

void forward_ref(Device&, const ClassLossCall& c) {
  visit_ref(c.logits.dtype, [&](auto zero) { ref::class_loss<decltype(zero)>(c); });
}

void forward_cpu(Device&, const ClassLossCall& c) {
  const int64_t n = c.logits.cols(), b = c.logits.rows();
  double sum = 0;
  for (int64_t i = 0; i < b; ++i) {
    const float* l = c.logits.as<float>() + i * n;
    const float own = image_loss(l, c.targets.as<float>() + i * n, n, log_sum(l, n));
    c.image_loss.as<float>()[i] = own;
    sum += own;
  }
  *c.loss.as<float>() = static_cast<float>(sum / static_cast<double>(b));
}

void backward_ref(Device&, const ClassLossCall& c, const Tensor& d_loss, const GradTo& to) {
  visit_ref(c.logits.dtype, [&](auto zero) { ref::class_loss_backward<decltype(zero)>(c, d_loss, to); });
}

void backward_cpu(Device&, const ClassLossCall& c, const Tensor& d_loss, const GradTo& to) {
  const int64_t n = c.logits.cols(), b = c.logits.rows();
  const auto factor = static_cast<float>(*d_loss.as<float>() * c.weight / static_cast<double>(b));
  parallel_for(b, 4, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      const float* l = c.logits.as<float>() + i * n;
      image_gradient(l, c.targets.as<float>() + i * n, n, log_sum(l, n), factor, to.add, to.to.as<float>() + i * n);
    }
  });
}

constexpr Kernels<void(Device&, const ClassLossCall&)> forward{"class_loss", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const ClassLossCall&, const Tensor&, const GradTo&)> backward{
    "class_loss backward", backward_ref, backward_cpu};

}  // namespace

ClassLoss class_loss(Run& run, const Tensor& logits, const ClassLossArgs& args) {
  require(logits.shape.rank() == 2 && logits.rows() > 0, "[class_loss] logits must be (b, classes), came {}",
          logits.shape.str());
  require(args.targets.shape == logits.shape, "[class_loss] targets must be {} like the logits, came {}",
          logits.shape.str(), args.targets.shape.str());
  const ClassLoss out{run.make({1}), run.make({logits.rows()}), logits};
  const ClassLossCall call{logits, args.targets, out.loss, out.image_loss, args.weight};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = class_loss_cost(logits.rows(), logits.cols());
  run.record("class_loss", out.loss, cost, cost, [&run, call, kind] {
    const Tensor d_loss = run.grad_of(call.loss);
    if (const GradTo d_logits = run.grad_to(call.logits)) backward.on(kind)(run.device(), call, d_loss, d_logits);
  });
  return out;
}

Cost class_loss_cost(int64_t batch, int64_t classes) {
  const auto numbers = static_cast<double>(batch * classes);
  return {8 * numbers, 8 * numbers};
}

}  // namespace crate
