// The cpu kernels walk the rows in chunks that stay in a core's cache, one thread a chunk; only the weight gradients,
// sums over all rows, are large products at the end.
#include "ops/mlp.h"

#include "base/parallel.h"
#include "ops/even_rows.h"
#include "ops/frozen.h"
#include "ops/row_sums.h"
#include "ops/threshold.h"
#include "tensor/gemm.h"
#include "tensor/scratch_matrix.h"
#include "tensor/wide.h"

namespace crate {
namespace {

constexpr int64_t chunk_rows = 128;

// gate may be the memory of pre.
CRATE_CLONES void gelu_and_gate(const float* pre, float* h, float* gate, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float a = pre[i];
    const float below = vec::normal(a).below;
    h[i] = a * below;
    gate[i] = below;
  }
}

// slope may be the memory of pre, or null.
CRATE_CLONES void gelu_and_slope(const float* pre, float* h, float* slope, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float a = pre[i];
    const vec::Normal p = vec::normal(a);
    h[i] = a * p.below;
    slope[i] = p.below + a * p.density;
  }
}

CRATE_CLONES void gelu(const float* pre, float* h, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) h[i] = pre[i] * vec::normal(pre[i]).below;
}

// g may be the memory of d_h.
CRATE_CLONES void multiply_and_sum(const float* d_h, const float* slope, float* g, float* sums, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float product = d_h[i] * slope[i];
    g[i] = product;
    sums[i] += product;
  }
}

void forward_ref(Device&, const MlpCall& c) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::mlp<decltype(zero)>(c); });
}

// A frozen run in double keeps h and its gate.
void forward_frozen(Device& device, const MlpCall& c) {
  const bool relu = c.act == Activation::relu;
  const Tensor pre = relu ? c.hidden : c.slope;
  gemm(device, {.a = c.x, .b = c.w_in, .c = pre, .trans_b = true, .bias = c.b_in, .relu = relu});
  parallel_for(relu ? 0 : pre.numel(), 1 << 12, [&](int64_t lo, int64_t hi) {
    double *gate = c.slope.as<double>(), *h = c.hidden.as<double>();
    for (int64_t i = lo; i < hi; ++i) {
      const double a = gate[i];
      gate[i] = ref::normal_below(a);
      h[i] = a * gate[i];
    }
  });
  if (c.watch) c.watch();
  gemm(device, {.a = c.hidden, .b = c.w_out, .c = c.y, .trans_b = true, .bias = c.b_out, .plus = c.residual});
}

// a -> h and, when it is kept, what the backward multiplies by.
void activate(const MlpCall& c, const Tensor& pre, const Tensor& hidden, const Tensor& slope) {
  const int64_t n = pre.cols();
  WideRows h(hidden), to(slope ? slope : hidden);
  for (int64_t i = 0; i < pre.rows(); ++i) {
    const float* a = pre.as<float>() + i * n;
    if (slope && c.frozen)
      gelu_and_gate(a, h.write(i), to.write(i), n);
    else if (slope)
      gelu_and_slope(a, h.write(i), to.write(i), n);
    else
      gelu(a, h.write(i), n);
    h.done(i);
    if (slope) to.done(i);
  }
}

// h of the rows lo..hi, into c.hidden where kept, else into `own`.
Tensor encode_chunk(Device& device, const MlpCall& c, const ScratchMatrix& own, int64_t lo, int64_t hi) {
  const Tensor hidden = c.hidden ? c.hidden.row_slice(lo, hi) : *own;
  const Tensor slope = c.slope ? c.slope.row_slice(lo, hi) : Tensor{};
  const bool narrow = slope && is_narrow(slope);
  const ScratchMatrix own_pre(device, narrow ? hi - lo : 0, hidden.cols());
  const Tensor pre = narrow ? *own_pre : slope ? slope : hidden;
  gemm(device, {.a = c.x.row_slice(lo, hi),
                .b = c.w_in,
                .c = pre,
                .trans_b = true,
                .bias = c.b_in,
                .relu = c.act == Activation::relu,
                .b_is_weight = true});
  if (c.act == Activation::gelu) activate(c, pre, hidden, slope);
  return hidden;
}

void read_out(Device& device, const MlpCall& c, const Tensor& hidden, int64_t lo, int64_t hi) {
  gemm(device, {.a = hidden,
                .b = c.w_out,
                .c = c.y.row_slice(lo, hi),
                .trans_b = true,
                .bias = c.b_out,
                .plus = c.residual ? c.residual.row_slice(lo, hi) : Tensor{},
                .b_is_weight = true});
}

void forward_cpu(Device& device, const MlpCall& c) {
  const int64_t rows = c.x.rows(), m = c.w_in.rows();
  even_rows(rows, chunk_rows, [&](int64_t lo, int64_t hi) {
    const ScratchMatrix own(device, c.hidden ? 0 : hi - lo, m);
    const Tensor hidden = encode_chunk(device, c, own, lo, hi);
    if (!c.watch) read_out(device, c, hidden, lo, hi);
  });
  if (!c.watch) return;
  c.watch();
  even_rows(rows, chunk_rows, [&](int64_t lo, int64_t hi) { read_out(device, c, c.hidden.row_slice(lo, hi), lo, hi); });
}

void backward_ref(Device&, const MlpCall& c, const MlpGrad& to) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::mlp_backward<decltype(zero)>(c, to); });
}

// g = slope o d_h; sums grow by g.
void multiply_rows(const Tensor& d_h, const Tensor& slope, const Tensor& g, float* sums) {
  WideRows factors(slope), to(g);
  for (int64_t i = 0; i < g.rows(); ++i) {
    multiply_and_sum(d_h.as<float>() + i * g.cols(), factors.read(i), to.write(i), sums, g.cols());
    to.done(i);
  }
}

// g of the rows lo..hi; sums grow by g (m) and d_y (d).
void backward_chunk(Device& device, const MlpCall& c, const MlpGrad& to, const Tensor& all_g, float* sums, int64_t lo,
                    int64_t hi) {
  const int64_t d = c.x.cols(), m = c.w_in.rows();
  const Tensor d_y = to.d_y.row_slice(lo, hi), g = all_g.row_slice(lo, hi);
  const bool narrow = is_narrow(g);
  const ScratchMatrix own(device, narrow ? hi - lo : 0, m);
  const Tensor d_h = narrow ? *own : g;
  gemm(device, {.a = d_y, .b = c.w_out, .c = d_h, .b_is_weight = true});
  if (c.act == Activation::relu)
    mask_rows(d_h, c.hidden.row_slice(lo, hi), g, sums);
  else
    multiply_rows(d_h, c.slope.row_slice(lo, hi), g, sums);
  if (to.d_b_out) add_rows(d_y.as<float>(), hi - lo, d, sums + m);
  if (!to.d_x) return;
  const Tensor d_x = to.d_x.to.row_slice(lo, hi);
  gemm(device, {.a = g, .b = c.w_in, .c = d_x, .add = to.d_x.add, .b_is_weight = true});
}

void backward_cpu(Device& device, const MlpCall& c, const MlpGrad& to) {
  const int64_t rows = c.x.rows(), d = c.x.cols(), m = c.w_in.rows();
  const ScratchMatrix g(device, rows, m, c.hidden.dtype);
  const RowSums sums(device, rows, chunk_rows, m + d);
  parallel_chunks(rows, chunk_rows, [&](int64_t chunk, int64_t lo, int64_t hi) {
    backward_chunk(device, c, to, *g, sums.open(chunk), lo, hi);
  });
  sums.close();
  sums.write(to.d_b_in);
  sums.write(to.d_b_out, m);
  if (to.d_w_in) gemm(device, {.a = *g, .b = c.x, .c = to.d_w_in.to, .trans_a = true, .add = to.d_w_in.add});
  if (to.d_w_out)
    gemm(device, {.a = to.d_y, .b = c.hidden, .c = to.d_w_out.to, .trans_a = true, .add = to.d_w_out.add});
}

constexpr Kernels<void(Device&, const MlpCall&)> forward{"mlp", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const MlpCall&, const MlpGrad&)> backward{"mlp backward", backward_ref, backward_cpu};

void check(const Tensor& x, const MlpArgs& args) {
  const int64_t d = x.cols(), m = args.w_in.rows();
  require(args.w_in.cols() == d, "[mlp] w_in must be (.., {}), came {}", d, args.w_in.shape.str());
  require(args.w_out.rows() == d && args.w_out.cols() == m, "[mlp] w_out must be ({}, {}), came {}", d, m,
          args.w_out.shape.str());
  require(!args.b_in || args.b_in.numel() == m, "[mlp] b_in must be ({}), came {}", m, args.b_in.shape.str());
  require(!args.b_out || args.b_out.numel() == d, "[mlp] b_out must be ({}), came {}", d, args.b_out.shape.str());
  require(!args.residual || args.residual.shape == x.shape, "[mlp] residual must be {}, came {}", x.shape.str(),
          args.residual.shape.str());
}

void walk_back(Run& run, const MlpCall& c) {
  Device& device = run.device();
  const Tensor d_y = run.grad_of(c.y);
  const MlpGrad to{d_y,
                   run.grad_to(c.x),
                   run.grad_to(c.w_in),
                   c.b_in ? run.grad_to(c.b_in) : GradTo{},
                   run.grad_to(c.w_out),
                   c.b_out ? run.grad_to(c.b_out) : GradTo{}};
  backward.on(device.kind())(device, c, to);
  if (c.residual) run.pass_grad(c.y, c.residual);
}

void apply_gate(const MlpCall& c, const Tensor& d_h) {
  if (c.act == Activation::relu) return frozen::mask(d_h, c.edit ? c.edit.before : c.hidden, d_h);
  const auto times = [&](auto zero) {
    using T = decltype(zero);
    const T* gate = c.slope.as<T>();
    T* g = d_h.as<T>();
    parallel_for(d_h.numel(), 1 << 14, [=](int64_t lo, int64_t hi) {
      for (int64_t i = lo; i < hi; ++i) g[i] *= gate[i];
    });
  };
  if (d_h.dtype == Dtype::f32) return times(float{});
  visit_ref(d_h.dtype, times);
}

void walk_frozen(Run& run, const MlpCall& c, const Site& site) {
  const Tensor d_y = run.grad_of(c.y);
  if (d_y && c.b_out) run.leave_constant(c.b_out, site.at("b_out"), frozen::row_dots(d_y, c.b_out));
  const Tensor d_h = frozen::read_through(run, c.hidden, d_y, c.w_out, false);
  const Scratch block = run.scratch(d_h.bytes());  // whoever keeps the gradient of h keeps it without the gate
  const Tensor g{block.as<void>(), {d_h.rows(), d_h.cols()}, d_h.dtype};
  frozen::grow({g, false}, 1, d_h);
  apply_gate(c, g);
  frozen::heed(run, site, c.edit, d_h, g);
  if (c.b_in) run.leave_constant(c.b_in, site.at("b_in"), frozen::row_dots(g, c.b_in), true);
  if (const GradTo d_x = run.grad_to(c.x))
    gemm(run.device(), {.a = g, .b = c.w_in, .c = d_x.to, .add = d_x.add, .b_is_weight = true});
  if (d_y && c.residual) run.pass_grad(c.y, c.residual);
}

}  // namespace

Tensor mlp(Run& run, const Tensor& x, const MlpArgs& args) {
  check(x, args);
  Device& device = run.device();
  const int64_t m = args.w_in.rows();
  const Shape wide = x.shape.rank() == 3 ? Shape{x.shape[0], x.shape[1], m} : Shape{x.rows(), m};
  MlpCall c{.x = x,
            .w_in = args.w_in,
            .b_in = args.b_in,
            .w_out = args.w_out,
            .b_out = args.b_out,
            .residual = args.residual,
            .y = run.make(x.shape),
            .act = args.act,
            .hidden = {},
            .slope = {},
            .frozen = run.frozen(),
            .edit = {},
            .watch = {}};
  const bool keep = run.recording() && (device.kind() != DeviceKind::ref || run.frozen());
  if (keep || run.wants(args.site, "hidden")) c.hidden = run.make_operand(wide);
  if (keep && args.act == Activation::gelu) c.slope = run.make_operand(wide);
  if (run.wants(args.site, "hidden")) c.watch = [&] { c.edit = run.see_inner(args.site, "hidden", c.hidden); };
  if (frozen::in_double(run))
    forward_frozen(device, c);
  else
    forward.on(device.kind())(device, c);
  c.watch = nullptr;
  const Cost cost = mlp_cost(x.rows(), x.cols(), m);
  if (run.frozen())
    run.record_frozen(
        "mlp", c.y, cost, [&run, c, site = args.site] { walk_frozen(run, c, site); }, c.hidden);
  else
    run.record("mlp", c.y, cost, {2 * cost.flops, 2 * cost.bytes}, [&run, c] { walk_back(run, c); });
  return c.y;
}

Cost mlp_cost(int64_t rows, int64_t d, int64_t m) {
  return {2 * gemm_flops(rows, m, d), 4.0 * static_cast<double>(2 * rows * d + 2 * m * d)};
}

}  // namespace crate
