#include "ops/layer_norm.h"

#include <type_traits>

#include "base/parallel.h"
#include "ops/frozen.h"
#include "ops/row_sums.h"
#include "tensor/wide.h"

namespace crate {
namespace {

constexpr int64_t chunk_rows = 64;  // 64 rows of 384 numbers, read twice, stay in the first two caches

struct Rows {
  const float *x, *scale, *shift;
  float* stats;
  int64_t d;
  float eps;
};

CRATE_CLONES void norm_row(const Rows& r, int64_t i, float* y) {
  const int64_t d = r.d;
  const float inv_d = 1.0F / static_cast<float>(d);
  const float* x = r.x + i * d;
  const float mean = vec::sum(d, [x](int64_t j) { return x[j]; }) * inv_d;
  const float var = vec::sum(d, [x, mean](int64_t j) { return (x[j] - mean) * (x[j] - mean); }) * inv_d;
  const float inv = 1.0F / std::sqrt(var + r.eps);
  const float *scale = r.scale, *shift = r.shift;
  if (shift) {
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) y[j] = (x[j] - mean) * inv * scale[j] + shift[j];
  } else {
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) y[j] = (x[j] - mean) * inv * scale[j];
  }
  if (r.stats) {
    r.stats[2 * i] = mean;
    r.stats[2 * i + 1] = inv;
  }
}

CRATE_CLONES void normalise_row(const Rows& r, int64_t i, float* h) {
  const float *x = r.x + i * r.d, mean = r.stats[2 * i], inv = r.stats[2 * i + 1];
#pragma omp simd
  for (int64_t j = 0; j < r.d; ++j) h[j] = (x[j] - mean) * inv;
}

// h = (x - mean) factor: where h itself was kept it comes as x, with mean 0 and factor 1.
struct BackRow {
  const float *x, *scale, *d_y;
  float mean, factor;
  float inv;   // 1/s
  float* d_x;  // null: not wanted
  bool add;
  bool frozen;
  int64_t d;
};

// d_scale and d_shift grow by a row, which is walked three times where it lies, in the first cache: sums kept in one
// pass beside the growing vectors were left in memory by the compiler (1.8 times slower).
CRATE_CLONES void back_row(const BackRow& r, float* d_scale, float* d_shift) {
  const int64_t d = r.d;
  const float inv_d = 1.0F / static_cast<float>(d);
  const float *scale = r.scale, *x = r.x, *d_y = r.d_y;
  const float mean = r.mean, factor = r.factor, inv = r.inv;
#pragma omp simd
  for (int64_t j = 0; j < d; ++j) {
    d_scale[j] += d_y[j] * ((x[j] - mean) * factor);
    d_shift[j] += d_y[j];
  }
  if (!r.d_x) return;
  const float g_mean = vec::sum(d, [=](int64_t j) { return scale[j] * d_y[j]; }) * inv_d;
  const float gh_mean =
      r.frozen ? 0.0F : vec::sum(d, [=](int64_t j) { return scale[j] * d_y[j] * ((x[j] - mean) * factor); }) * inv_d;
  float* d_x = r.d_x;
  const auto write = [=](auto add) {
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) {
      const float g = (scale[j] * d_y[j] - g_mean - (x[j] - mean) * factor * gh_mean) * inv;
      d_x[j] = add ? d_x[j] + g : g;
    }
  };
  r.add ? write(std::true_type{}) : write(std::false_type{});
}

void forward_ref(Device&, const LayerNormCall& c) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::layer_norm<decltype(zero)>(c); });
}

void forward_cpu(Device&, const LayerNormCall& c) {
  const Rows r{
      c.x.as<float>(), c.scale.as<float>(),      ref::maybe<float>(c.shift), c.stats ? c.stats.as<float>() : nullptr,
      c.x.cols(),      static_cast<float>(c.eps)};
  parallel_for(c.x.rows(), 16, [&r, &c](int64_t lo, int64_t hi) {
    WideRows y(c.y), h(c.normed ? c.normed : c.y);
    for (int64_t i = lo; i < hi; ++i) {
      norm_row(r, i, y.write(i));
      y.done(i);
      if (!c.normed) continue;
      normalise_row(r, i, h.write(i));
      h.done(i);
    }
  });
}

void backward_ref(Device&, const LayerNormCall& c, const LayerNormGrad& to) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::layer_norm_backward<decltype(zero)>(c, to); });
}

void backward_cpu(Device& device, const LayerNormCall& c, const LayerNormGrad& to) {
  const int64_t d = c.x.cols();
  const float *scale = c.scale.as<float>(), *stats = c.stats.as<float>(), *d_y = to.d_y.as<float>();
  float* d_x = ref::maybe<float>(to.d_x.to);
  const RowSums sums(device, c.x.rows(), chunk_rows, 2 * d);
  parallel_chunks(c.x.rows(), chunk_rows, [&](int64_t chunk, int64_t lo, int64_t hi) {
    float* d_scale = sums.open(chunk);
    WideRows from(c.normed ? c.normed : c.x);
    for (int64_t i = lo; i < hi; ++i) {
      const float mean = c.normed ? 0.0F : stats[2 * i], inv = stats[2 * i + 1];
      back_row({.x = from.read(i),
                .scale = scale,
                .d_y = d_y + i * d,
                .mean = mean,
                .factor = c.normed ? 1.0F : inv,
                .inv = inv,
                .d_x = d_x ? d_x + i * d : nullptr,
                .add = to.d_x.add,
                .frozen = c.frozen,
                .d = d},
               d_scale, d_scale + d);
    }
  });
  sums.close();
  sums.write(to.d_scale);
  sums.write(to.d_shift, d);
}

constexpr Kernels<void(Device&, const LayerNormCall&)> forward{"layer_norm", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const LayerNormCall&, const LayerNormGrad&)> backward{"layer_norm backward",
                                                                                      backward_ref, backward_cpu};

}  // namespace

Tensor layer_norm(Run& run, const Tensor& x, const LayerNormArgs& args) {
  const int64_t d = x.cols(), rows = x.rows();
  require(d > 0 && args.scale.numel() == d, "[layer_norm] scale must be ({}), came {}", d, args.scale.shape.str());
  require(!args.shift || args.shift.numel() == d, "[layer_norm] shift must be ({}), came {}", d,
          args.shift.shape.str());
  const Tensor y = args.operand ? run.make_operand(x.shape) : run.make(x.shape);
  LayerNormCall call{x, args.scale, args.shift, y, {}, {}, args.eps, run.frozen()};
  Device& device = run.device();
  if (run.recording() && is_narrow(y)) call.normed = run.make_operand(x.shape);
  if (run.recording() && device.kind() != DeviceKind::ref) call.stats = run.make({rows, 2});
  forward.on(device.kind())(device, call);
  const Cost cost = layer_norm_cost(rows, d);
  const auto walk = [&run, call](const GradTo& d_scale, const GradTo& d_shift) {
    Device& on = run.device();
    backward.on(on.kind())(on, call, {run.grad_of(call.y), run.grad_to(call.x), d_scale, d_shift});
  };
  if (run.frozen()) {
    run.record_frozen("layer_norm", call.y, cost, [&run, call, walk] {
      if (call.shift) run.leave_constant(call.shift, "shift", frozen::row_dots(run.grad_of(call.y), call.shift));
      walk({}, {});
    });
    return call.y;
  }
  run.record("layer_norm", call.y, cost, {1.5 * cost.flops, 1.5 * cost.bytes},
             [&run, call, walk] { walk(run.grad_to(call.scale), run.grad_to(call.shift)); });
  return call.y;
}

Cost layer_norm_cost(int64_t rows, int64_t d) {
  const auto numbers = static_cast<double>(rows * d);
  return {8 * numbers, 8 * numbers};
}

}  // namespace crate
