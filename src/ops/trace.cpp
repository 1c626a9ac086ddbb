#include "ops/trace.h"

#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "ops/row_sums.h"
#include "tensor/round.h"
#include "tensor/wide.h"

namespace crate {
namespace {

constexpr int64_t chunk_rows = 64;

CRATE_CLONES void add_share(const float* x, const float* share, const float* before, float* y, int64_t d) {
#pragma omp simd
  for (int64_t j = 0; j < d; ++j) y[j] = x[j] + share[j] * before[j];
}

void forward_ref(Device&, const TraceCall& c) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::trace<decltype(zero)>(c); });
}

void forward_cpu(Device& device, const TraceCall& c) {
  const int64_t n = c.x.shape[1], d = c.x.cols();
  const float *x = c.x.as<float>(), *share = c.share.as<float>(), *before = ref::maybe<float>(c.before);
  parallel_for(c.x.rows(), 16, [&](int64_t lo, int64_t hi) {
    const Scratch room{device.pool(), static_cast<std::size_t>(d) * sizeof(float)};
    for (int64_t i = lo; i < hi; ++i) {
      const float* last = i % n > 0 ? x + (i - 1) * d : before ? before + i / n * d : nullptr;
      float* y = is_narrow(c.y) ? room.as<float>() : c.y.as<float>() + i * d;
      if (last)
        add_share(x + i * d, share, last, y, d);
      else
        std::copy_n(x + i * d, d, y);
      if (is_narrow(c.y)) round_bf16(y, static_cast<uint16_t*>(c.y.data) + i * d, d);
    }
  });
}

void backward_ref(Device&, const TraceCall& c, const TraceGrad& to) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::trace_backward<decltype(zero)>(c, to); });
}

void backward_cpu(Device& device, const TraceCall& c, const TraceGrad& to) {
  const int64_t n = c.x.shape[1], d = c.x.cols();
  const float *x = c.x.as<float>(), *share = c.share.as<float>(), *d_y = to.d_y.as<float>();
  float* d_x = ref::maybe<float>(to.d_x.to);
  const RowSums sums(device, c.x.rows(), chunk_rows, d);
  parallel_chunks(c.x.rows(), chunk_rows, [&](int64_t chunk, int64_t lo, int64_t hi) {
    float* d_share = sums.open(chunk);
    for (int64_t i = lo; i < hi; ++i) {
      if (i % n > 0) add_products(d_y + i * d, x + (i - 1) * d, d, d_share);
      if (!d_x) continue;
      if (to.d_x.add)
        add_rows(d_y + i * d, 1, d, d_x + i * d);
      else
        std::copy_n(d_y + i * d, d, d_x + i * d);
      if (i % n + 1 < n) add_products(d_y + (i + 1) * d, share, d, d_x + i * d);
    }
  });
  sums.close();
  sums.write(to.d_share);
}

constexpr Kernels<void(Device&, const TraceCall&)> forward{"trace", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const TraceCall&, const TraceGrad&)> backward{"trace backward", backward_ref,
                                                                              backward_cpu};

// The last x of each sequence, for the tokens to come.
void keep_newest(const Tensor& x, const Tensor& newest) {
  const int64_t n = x.shape[1];
  const std::size_t row = static_cast<std::size_t>(x.cols()) * size_of(x.dtype);
  const auto* from = static_cast<const std::byte*>(x.data);
  for (int64_t b = 0; b < x.shape[0]; ++b)
    std::memcpy(static_cast<std::byte*>(newest.data) + static_cast<std::size_t>(b) * row,
                from + static_cast<std::size_t>((b + 1) * n - 1) * row, row);
}

}  // namespace

Tensor trace(Run& run, const Tensor& x, const TraceArgs& args) {
  require(x.shape.rank() == 3, "[trace] expected (b, n, d), came {}", x.shape.str());
  require(args.share.numel() == x.cols(), "[trace] share must be ({}), came {}", x.cols(), args.share.shape.str());
  TraceCall call{x, args.share, args.operand ? run.make_operand(x.shape) : run.make(x.shape), {}};
  if (args.cache != nullptr) {
    const Tensor& newest = args.cache->newest;
    require(!run.recording(), "[trace] a cache serves decoding only, not recording");
    require(newest && newest.shape == Shape({x.shape[0], x.cols()}) && newest.dtype == x.dtype,
            "[trace] the cache has no room for the newest ({}, {}) of {}", x.shape[0], x.cols(), name_of(x.dtype));
    if (args.cache->used > 0) call.before = newest;
  }
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  if (args.cache != nullptr) keep_newest(x, args.cache->newest);
  const Cost cost = trace_cost(x.rows(), x.cols());
  const auto walk = [&run, call, kind](const GradTo& d_share) {
    backward.on(kind)(run.device(), call, {run.grad_of(call.y), run.grad_to(call.x), d_share});
  };
  if (run.frozen())
    run.record_frozen("trace", call.y, cost, [walk] { walk({}); });
  else
    run.record("trace", call.y, cost, {2 * cost.flops, 1.5 * cost.bytes},
               [&run, call, walk] { walk(run.grad_to(call.share)); });
  return call.y;
}

Cost trace_cost(int64_t rows, int64_t d) {
  const auto numbers = static_cast<double>(rows * d);
  return {2 * numbers, 8 * numbers};
}

}  // namespace crate
