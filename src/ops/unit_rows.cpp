#include "ops/unit_rows.h"

#include "base/parallel.h"
#include "tensor/vector.h"

namespace crate {
namespace {

CRATE_CLONES float unit_row(const float* x, float* y, int64_t d) {
  const float length = std::sqrt(vec::sum(d, [x](int64_t j) { return x[j] * x[j]; }));
  const auto floor = static_cast<float>(UnitRowsCall::floor);
  const float held = length > floor ? length : floor, factor = 1 / held;
#pragma omp simd
  for (int64_t j = 0; j < d; ++j) y[j] = factor * x[j];
  return held;
}

CRATE_CLONES void unit_row_backward(const float* y, const float* d_y, float length, float* d_x, bool add, int64_t d) {
  const float dot = vec::sum(d, [y, d_y](int64_t j) { return y[j] * d_y[j]; });
  const float along = length > static_cast<float>(UnitRowsCall::floor) ? dot : 0, factor = 1 / length;
  vec::put(d_x, add, d, [=](int64_t j) { return factor * (d_y[j] - along * y[j]); });
}

void forward_ref(Device&, const UnitRowsCall& c) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::unit_rows<decltype(zero)>(c); });
}

void forward_cpu(Device&, const UnitRowsCall& c) {
  const int64_t d = c.x.cols();
  const float* x = c.x.as<float>();
  float *y = c.y.as<float>(), *lengths = c.lengths.as<float>();
  parallel_for(c.x.rows(), 16, [=](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) lengths[i] = unit_row(x + i * d, y + i * d, d);
  });
}

void backward_ref(Device&, const UnitRowsCall& c, const UnitRowsGrad& to) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::unit_rows_backward<decltype(zero)>(c, to); });
}

void backward_cpu(Device&, const UnitRowsCall& c, const UnitRowsGrad& to) {
  if (!to.d_x) return;
  const int64_t d = c.x.cols();
  const float *y = c.y.as<float>(), *lengths = c.lengths.as<float>(), *d_y = to.d_y.as<float>();
  float* d_x = to.d_x.to.as<float>();
  parallel_for(c.x.rows(), 16, [=, add = to.d_x.add](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) unit_row_backward(y + i * d, d_y + i * d, lengths[i], d_x + i * d, add, d);
  });
}

constexpr Kernels<void(Device&, const UnitRowsCall&)> forward{"unit_rows", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const UnitRowsCall&, const UnitRowsGrad&)> backward{"unit_rows backward", backward_ref,
                                                                                    backward_cpu};

}  // namespace

Tensor unit_rows(Run& run, const Tensor& x) {
  require(x.shape.rank() >= 1, "[unit_rows] expected rows, came a single number");
  const UnitRowsCall call{x, run.make(x.shape), run.make({x.rows()})};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = unit_rows_cost(x.rows(), x.cols());
  run.record("unit_rows", call.y, cost, {2 * cost.flops, 1.5 * cost.bytes}, [&run, call, kind] {
    const Tensor d_y = run.grad_of(call.y);
    backward.on(kind)(run.device(), call, {d_y, run.grad_to(call.x)});
  });
  return call.y;
}

Cost unit_rows_cost(int64_t rows, int64_t d) {
  const auto numbers = static_cast<double>(rows * d);
  return {3 * numbers, 8 * numbers};
}

}  // namespace crate
