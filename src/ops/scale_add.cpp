#include "ops/scale_add.h"

#include "base/parallel.h"
#include "ops/row_sums.h"
#include "tensor/vector.h"

namespace crate {
namespace {

constexpr int64_t chunk_rows = 64;

CRATE_CLONES void scale_add_row(const float* x, const float* gamma, const float* residual, float* y, int64_t d) {
#pragma omp simd
  for (int64_t j = 0; j < d; ++j) y[j] = residual[j] + gamma[j] * x[j];
}

CRATE_CLONES void scale_row(const float* d_y, const float* gamma, float* d_x, bool add, int64_t d) {
  vec::put(d_x, add, d, [=](int64_t j) { return gamma[j] * d_y[j]; });
}

void forward_ref(Device&, const ScaleAddCall& c) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::scale_add<decltype(zero)>(c); });
}

void forward_cpu(Device&, const ScaleAddCall& c) {
  const int64_t d = c.x.cols();
  const float *x = c.x.as<float>(), *gamma = c.gamma.as<float>(), *residual = c.residual.as<float>();
  float* y = c.y.as<float>();
  parallel_for(c.x.rows(), 16, [=](int64_t lo, int64_t hi) {
    for (int64_t i = lo * d; i < hi * d; i += d) scale_add_row(x + i, gamma, residual + i, y + i, d);
  });
}

void backward_ref(Device&, const ScaleAddCall& c, const ScaleAddGrad& to) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::scale_add_backward<decltype(zero)>(c, to); });
}

void backward_cpu(Device& device, const ScaleAddCall& c, const ScaleAddGrad& to) {
  const int64_t d = c.x.cols();
  const float *x = c.x.as<float>(), *gamma = c.gamma.as<float>(), *d_y = to.d_y.as<float>();
  float* d_x = ref::maybe<float>(to.d_x.to);
  const RowSums sums(device, c.x.rows(), chunk_rows, d);
  parallel_chunks(c.x.rows(), chunk_rows, [&](int64_t chunk, int64_t lo, int64_t hi) {
    float* d_gamma = sums.open(chunk);
    for (int64_t i = lo * d; i < hi * d; i += d) {
      if (d_x) scale_row(d_y + i, gamma, d_x + i, to.d_x.add, d);
      add_products(d_y + i, x + i, d, d_gamma);
    }
  });
  sums.close();
  sums.write(to.d_gamma);
}

constexpr Kernels<void(Device&, const ScaleAddCall&)> forward{"scale_add", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const ScaleAddCall&, const ScaleAddGrad&)> backward{"scale_add backward", backward_ref,
                                                                                    backward_cpu};

}  // namespace

Tensor scale_add(Run& run, const Tensor& x, const Tensor& gamma, const Tensor& residual) {
  require(gamma.numel() == x.cols(), "[scale_add] gamma must be ({}), came {}", x.cols(), gamma.shape.str());
  require(residual.shape == x.shape, "[scale_add] residual must be {}, came {}", x.shape.str(), residual.shape.str());
  const ScaleAddCall call{x, gamma, residual, run.make(x.shape)};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = scale_add_cost(x.rows(), x.cols());
  const auto walk = [&run, call, kind](const GradTo& d_gamma) {
    backward.on(kind)(run.device(), call, {run.grad_of(call.y), run.grad_to(call.x), d_gamma});
    run.pass_grad(call.y, call.residual);
  };
  if (run.frozen())
    run.record_frozen("scale_add", call.y, cost, [walk] { walk({}); });
  else
    run.record("scale_add", call.y, cost, {1.5 * cost.flops, cost.bytes},
               [&run, call, walk] { walk(run.grad_to(call.gamma)); });
  return call.y;
}

Cost scale_add_cost(int64_t rows, int64_t d) {
  const auto numbers = static_cast<double>(rows * d);
  return {2 * numbers, 12 * numbers};
}

}  // namespace crate
