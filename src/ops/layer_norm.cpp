#include "ops/layer_norm.h"

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

struct BackRows {
  const float *x, *scale, *stats, *d_y;
  float* d_x;  // null: not wanted
  bool add;
  bool frozen;
  int64_t d;
};

// d_scale and d_shift grow by the rows lo..hi. A row is walked three times where it lies, in the first cache: sums kept
// in one pass beside the growing vectors were left in memory by the compiler (1.8 times slower).
CRATE_CLONES void back_rows(const BackRows& r, int64_t lo, int64_t hi, float* d_scale, float* d_shift) {
  const int64_t d = r.d;
  const float inv_d = 1.0F / static_cast<float>(d);
  const float* scale = r.scale;
  for (int64_t i = lo; i < hi; ++i) {
    const float *x = r.x + i * d, *d_y = r.d_y + i * d;
    const float mean = r.stats[2 * i], inv = r.stats[2 * i + 1];
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) {
      d_scale[j] += d_y[j] * ((x[j] - mean) * inv);
      d_shift[j] += d_y[j];
    }
    if (!r.d_x) continue;
    const float g_mean = vec::sum(d, [=](int64_t j) { return scale[j] * d_y[j]; }) * inv_d;
    const float gh_mean =
        r.frozen ? 0.0F : vec::sum(d, [=](int64_t j) { return scale[j] * d_y[j] * ((x[j] - mean) * inv); }) * inv_d;
    float* d_x = r.d_x + i * d;
    if (r.add) {
#pragma omp simd
      for (int64_t j = 0; j < d; ++j) d_x[j] += (scale[j] * d_y[j] - g_mean - (x[j] - mean) * inv * gh_mean) * inv;
    } else {
#pragma omp simd
      for (int64_t j = 0; j < d; ++j) d_x[j] = (scale[j] * d_y[j] - g_mean - (x[j] - mean) * inv * gh_mean) * inv;
    }
  }
}

void forward_ref(Device&, const LayerNormCall& c) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::layer_norm<decltype(zero)>(c); });
}

void forward_cpu(Device&, const LayerNormCall& c) {
  const Rows r{
      c.x.as<float>(), c.scale.as<float>(),      ref::maybe<float>(c.shift), c.stats ? c.stats.as<float>() : nullptr,
      c.x.cols(),      static_cast<float>(c.eps)};
  parallel_for(c.x.rows(), 16, [&r, &c](int64_t lo, int64_t hi) {
    WideRows y(c.y);
    for (int64_t i = lo; i < hi; ++i) {
      norm_row(r, i, y.write(i));
      y.done(i);
    }
  });
}

void backward_ref(Device&, const LayerNormCall& c, const LayerNormGrad& to) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::layer_norm_backward<decltype(zero)>(c, to); });
}

void backward_cpu(Device& device, const LayerNormCall& c, const LayerNormGrad& to) {
  const int64_t d = c.x.cols();
  const BackRows r{c.x.as<float>(),
                   c.scale.as<float>(),
                   c.stats.as<float>(),
                   to.d_y.as<float>(),
                   ref::maybe<float>(to.d_x.to),
                   to.d_x.add,
                   c.frozen,
                   d};
  const RowSums sums(device, c.x.rows(), chunk_rows, 2 * d);
  parallel_chunks(c.x.rows(), chunk_rows, [&](int64_t chunk, int64_t lo, int64_t hi) {
    float* d_scale = sums.open(chunk);
    back_rows(r, lo, hi, d_scale, d_scale + d);
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
  LayerNormCall call{x, args.scale, args.shift, y, {}, args.eps, run.frozen()};
  Device& device = run.device();
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
