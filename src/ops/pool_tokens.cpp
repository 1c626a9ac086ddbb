#include "ops/pool_tokens.h"

#include "base/parallel.h"
#include "ops/rows.h"

namespace crate {
namespace {

void forward_ref(Device&, const PoolCall& c) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::pool_tokens<decltype(zero)>(c); });
}

void forward_cpu(Device&, const PoolCall& c) {
  const int64_t n = c.x.shape[1], d = c.x.cols();
  const float* x = c.x.as<float>();
  float* y = c.y.as<float>();
  const float share = 1.0F / static_cast<float>(c.to - c.from);
  parallel_for(c.y.rows(), 1, [&](int64_t lo, int64_t hi) {
    for (int64_t b = lo; b < hi; ++b) {
      std::fill_n(y + b * d, d, 0.0F);
      for (int64_t i = c.from; i < c.to; ++i) grow(y + b * d, share, x + (b * n + i) * d, d);
    }
  });
}

void backward_ref(Device&, const PoolCall& c, const Tensor& d_y, const GradTo& to) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::pool_tokens_backward<decltype(zero)>(c, d_y, to); });
}

void backward_cpu(Device&, const PoolCall& c, const Tensor& d_y, const GradTo& to) {
  const int64_t n = c.x.shape[1], d = c.x.cols();
  const float share = 1.0F / static_cast<float>(c.to - c.from);
  parallel_for(c.y.rows(), 1, [&](int64_t lo, int64_t hi) {
    for (int64_t b = lo; b < hi; ++b) {
      float* d_x = to.to.as<float>() + b * n * d;
      if (!to.add) std::fill_n(d_x, n * d, 0.0F);
      for (int64_t i = c.from; i < c.to; ++i) grow(d_x + i * d, share, d_y.as<float>() + b * d, d);
    }
  });
}

constexpr Kernels<void(Device&, const PoolCall&)> forward{"pool_tokens", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const PoolCall&, const Tensor&, const GradTo&)> backward{"pool_tokens backward",
                                                                                         backward_ref, backward_cpu};

}  // namespace

Tensor pool_tokens(Run& run, const Tensor& x, const PoolArgs& args) {
  require(x.shape.rank() == 3, "[pool_tokens] tokens must be (b, n, d), came {}", x.shape.str());
  const int64_t n = x.shape[1], to = args.to > 0 ? args.to : n;
  require(0 <= args.from && args.from < to && to <= n, "[pool_tokens] cannot read tokens {}..{} of {}", args.from, to,
          n);
  const Tensor y = run.make({x.shape[0], x.cols()});
  const PoolCall call{x, y, args.from, to};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = pool_tokens_cost(x.shape[0], to - args.from, x.cols());
  const auto walk = [&run, call, kind] {
    const Tensor d_y = run.grad_of(call.y);
    if (const GradTo d_x = run.grad_to(call.x)) backward.on(kind)(run.device(), call, d_y, d_x);
  };
  if (run.frozen())
    run.record_frozen("pool_tokens", y, cost, walk);
  else
    run.record("pool_tokens", y, cost, cost, walk);
  return y;
}

Cost pool_tokens_cost(int64_t batch, int64_t read, int64_t d) {
  const auto numbers = static_cast<double>(batch * read * d);
  return {2 * numbers, 4 * numbers + 4.0 * static_cast<double>(batch * d)};
}

}  // namespace crate
