// The cpu kernels walk the rows in chunks that stay in a core's cache, one thread a chunk, all products of a chunk one
// after the other; only the sum over all rows, d_D, is one large product at the end.
#include "ops/ista.h"

#include "base/parallel.h"
#include "ops/even_rows.h"
#include "ops/frozen.h"
#include "ops/row_sums.h"
#include "ops/threshold.h"
#include "tensor/gemm.h"
#include "tensor/scratch_matrix.h"

namespace crate {
namespace {

constexpr int64_t chunk_rows = 128;
static_assert(chunk_rows % gate_rows == 0, "two threads would write one word of gates");

void encode_ref(Device&, const IstaCall& c) {
  visit_ref(c.v.dtype, [&](auto zero) { ref::ista<decltype(zero)>(c); });
}

// A frozen run in double keeps every code, so its steps are products.
void encode_frozen(Device& device, const IstaCall& c) {
  const int64_t d = c.v.cols();
  const double eta = *c.eta.as<double>();
  const frozen::Block shift(device, {d}), r(device, c.v.shape);
  for (int64_t j = 0; j < d; ++j) shift->as<double>()[j] = -eta * c.lambda.as<double>()[c.lambda.numel() > 1 ? j : 0];
  Tensor z = c.v;
  for (int s = 0; s < c.steps; ++s) {
    const Tensor next = s + 1 == c.steps ? c.code : c.earlier[s];
    gemm(device, {.a = z, .b = c.dict, .c = *r, .trans_b = true, .alpha = -1, .plus = c.v});
    gemm(device, {.a = *r, .b = c.dict, .c = next, .alpha = eta, .bias = *shift, .plus = z, .relu = true});
    z = next;
  }
}

void encode_chunk(Device& device, const IstaCall& c, const Tensor& shift, int64_t lo, int64_t hi) {
  const bool keep = !c.resids.empty();
  const int64_t d = c.v.cols();
  const double eta = *c.eta.as<float>();
  const ScratchMatrix own_r(device, keep ? 0 : hi - lo, d), own_z(device, keep ? 0 : 2 * (hi - lo), d);
  const Tensor v = c.v.row_slice(lo, hi), code = c.code.row_slice(lo, hi);
  Tensor z = v;
  for (int s = 0; s < c.steps; ++s) {
    const bool last = s + 1 == c.steps;
    const Tensor r = keep ? c.resids[s].row_slice(lo, hi) : *own_r;
    const int64_t half = s % 2 * (hi - lo);  // never in place: the order of additions must not depend on who listens
    const Tensor next = last   ? (c.pre ? c.pre : c.code).row_slice(lo, hi)
                        : keep ? c.earlier[s].row_slice(lo, hi)
                               : own_z->row_slice(half, half + hi - lo);
    gemm(device, {.a = z, .b = c.dict, .c = r, .trans_b = true, .alpha = -1, .plus = v, .b_is_weight = true});
    gemm(device, {.a = r,
                  .b = c.dict,
                  .c = next,
                  .alpha = eta,
                  .bias = shift,
                  .plus = z,
                  .relu = !(last && c.pre),
                  .b_is_weight = true});
    z = next;
  }
  if (c.pre) relu_rows(z, code);
  if (c.gates) write_gates(code, gates_of_rows(c.gates, lo, hi));
}

void encode_cpu(Device& device, const IstaCall& c) {
  const ThresholdShift shift(device, c.eta, c.lambda, c.v.cols());
  const auto encode = [&](int64_t lo, int64_t hi) { encode_chunk(device, c, shift.tensor(), lo, hi); };
  if (!c.gates) return even_rows(c.v.rows(), chunk_rows, encode);
  parallel_chunks(c.v.rows(), chunk_rows, [&](int64_t, int64_t lo, int64_t hi) { encode(lo, hi); });
}

void finish_ref(Device&, const IstaCall& c) {
  visit_ref(c.v.dtype, [&](auto zero) { ref::ista_finish<decltype(zero)>(c); });
}

void finish_cpu(Device&, const IstaCall& c) {
  parallel_for(c.v.rows(), 16, [&c](int64_t lo, int64_t hi) {
    combine(c.code.row_slice(lo, hi), 1, c.residual.row_slice(lo, hi), c.y.row_slice(lo, hi));
  });
}

void backward_ref(Device&, const IstaCall& c, const IstaGrad& to) {
  visit_ref(c.v.dtype, [&](auto zero) { ref::ista_backward<decltype(zero)>(c, to); });
}

// What the steps leave for d_D: g and t of every row.
struct Kept {
  std::vector<ScratchMatrix> g, t;
};

void backward_chunk(Device& device, const IstaCall& c, const IstaGrad& to, const Kept& kept, float* sums, int64_t lo,
                    int64_t hi) {
  const int64_t d = c.v.cols();
  const float eta = *c.eta.as<float>();
  const bool several = c.steps > 1;
  const ScratchMatrix d_scratch(device, hi - lo, d), d_sum(device, several ? hi - lo : 0, d);  // d_z; eta sum of t
  if (several) std::fill_n(d_sum->as<float>(), d_sum->numel(), 0.0F);
  Tensor d_z = to.d_y.row_slice(lo, hi);
  for (int s = c.steps; s-- > 0;) {
    const Tensor z = s + 1 < c.steps ? c.earlier[s].row_slice(lo, hi) : gates_of_rows(c.gates, lo, hi);
    const Tensor g = kept.g[s]->row_slice(lo, hi), t = kept.t[s]->row_slice(lo, hi);
    mask_rows(d_z, z, g, sums);
    gemm(device, {.a = g, .b = c.dict, .c = t, .trans_b = true, .b_is_weight = true});
    if (sums) sums[d] += dot_rows(t, c.resids[s].row_slice(lo, hi));
    if (s > 0) {
      combine(*d_sum, eta, t, *d_sum);
      gemm(device, {.a = t, .b = c.dict, .c = *d_scratch, .alpha = -eta, .plus = g, .b_is_weight = true});
      d_z = *d_scratch;
    } else if (to.d_v) {
      combine(g, eta, t, *d_scratch);
      if (several) combine(*d_scratch, 1, *d_sum, *d_scratch);
      gemm(device, {.a = t,
                    .b = c.dict,
                    .c = to.d_v.to.row_slice(lo, hi),
                    .alpha = -eta,
                    .add = to.d_v.add,
                    .plus = *d_scratch,
                    .b_is_weight = true});
    }
  }
}

void backward_cpu(Device& device, const IstaCall& c, const IstaGrad& to) {
  const int64_t rows = c.v.rows(), d = c.v.cols();
  Kept kept;
  for (int s = 0; s < c.steps; ++s) {
    kept.g.emplace_back(device, rows, d, c.resids[s].dtype);
    kept.t.emplace_back(device, rows, d, c.resids[s].dtype);
  }
  const ThresholdGrad threshold{to.d_eta, to.d_lambda};
  const RowSums sums(device, threshold.wanted() ? rows : 0, chunk_rows, d + 1);
  parallel_chunks(rows, chunk_rows, [&](int64_t chunk, int64_t lo, int64_t hi) {
    backward_chunk(device, c, to, kept, threshold.wanted() ? sums.open(chunk) : nullptr, lo, hi);
  });
  if (threshold.wanted()) {
    sums.close();
    write_threshold(c.eta, c.lambda, sums, d, threshold);
  }
  if (!to.d_dict) return;
  const double eta = *c.eta.as<float>();
  for (int s = 0; s < c.steps; ++s) {
    const Tensor& z = s == 0 ? c.v : c.earlier[s - 1];
    gemm(device, {.a = c.resids[s],
                  .b = *kept.g[s],
                  .c = to.d_dict.to,
                  .trans_a = true,
                  .alpha = eta,
                  .add = to.d_dict.add || s > 0});
    gemm(device, {.a = *kept.t[s], .b = z, .c = to.d_dict.to, .trans_a = true, .alpha = -eta, .add = true});
  }
}

constexpr Kernels<void(Device&, const IstaCall&)> encode{"ista", encode_ref, encode_cpu};
constexpr Kernels<void(Device&, const IstaCall&)> finish{"ista residual", finish_ref, finish_cpu};
constexpr Kernels<void(Device&, const IstaCall&, const IstaGrad&)> backward{"ista backward", backward_ref,
                                                                            backward_cpu};

void check(const Tensor& v, const IstaArgs& args) {
  const int64_t d = v.cols();
  require(args.dict.rows() == d && args.dict.cols() == d, "[ista] dict must be ({}, {}), came {}", d, d,
          args.dict.shape.str());
  require(args.steps >= 1, "[ista] expected at least one step, came {}", args.steps);
  require(!args.residual || args.residual.shape == v.shape, "[ista] residual must be {}, came {}", v.shape.str(),
          args.residual.shape.str());
  check_threshold("ista", args.eta, args.lambda, d);
}

void walk_back(Run& run, const IstaCall& c) {
  Device& device = run.device();
  const Tensor d_y = run.grad_of(c.y);
  const IstaGrad to{d_y, run.grad_to(c.v), run.grad_to(c.dict), run.grad_to(c.eta), run.grad_to(c.lambda)};
  backward.on(device.kind())(device, c, to);
  if (c.residual) run.pass_grad(c.y, c.residual);
}

// With d_z the gradient of the code (seeds of the caller included): the loop of ref::ista_backward without weights.
void walk_frozen(Run& run, const IstaCall& c, const Site& site) {
  Device& device = run.device();
  const Tensor d_y = run.grad_of(c.y);
  if (c.residual && d_y) add_into(device, run.grad_to(c.code), d_y);
  const int64_t rows = c.v.rows(), d = c.v.cols();
  const double eta = frozen::number(c.eta);
  const auto bytes = static_cast<std::size_t>(rows * d) * size_of(run.real());
  const Scratch g_block = run.scratch(bytes), t_block = run.scratch(bytes), z_block = run.scratch(bytes);
  const auto matrix = [&](const Scratch& block) { return Tensor{block.as<void>(), {rows, d}, run.real()}; };
  const Tensor g = matrix(g_block), t = matrix(t_block);
  const GradTo d_v = run.grad_to(c.v);
  Tensor d_z = run.grad_of(c.code);
  for (int s = c.steps; s-- > 0;) {
    const bool last = s + 1 == c.steps;
    frozen::mask(d_z, !last ? c.earlier[s] : c.edit ? c.edit.before : c.code, g);
    if (last) frozen::heed(run, site, c.edit, d_z, g);
    run.leave_constant(c.lambda, site.at("lambda"), frozen::row_dots(g, c.lambda, -eta), true);
    gemm(device, {.a = g, .b = c.dict, .c = t, .trans_b = true, .b_is_weight = true});
    frozen::grow({d_v.to, d_v.add || s + 1 < c.steps}, eta, t);
    d_z = matrix(z_block);
    gemm(device, {.a = t, .b = c.dict, .c = d_z, .alpha = -eta, .plus = g, .b_is_weight = true});
  }
  frozen::grow({d_v.to, true}, 1, d_z);
  if (c.residual && d_y) run.pass_grad(c.y, c.residual);
}

}  // namespace

Tensor ista(Run& run, const Tensor& v, const IstaArgs& args) {
  check(v, args);
  Device& device = run.device();
  IstaCall c{v, args.dict, args.eta, args.lambda, args.residual, run.make(v.shape), args.steps, {}, {}, {}, {}, {}};
  const bool cpu = device.kind() != DeviceKind::ref, walks_back = run.recording() && cpu && !run.frozen();
  if (walks_back) c.gates = run.make(gates_shape(v.rows(), v.cols()), Dtype::i32);
  const Scratch passing = run.scratch(walks_back && c.residual ? v.bytes() : 0);  // a code that leaves its gates alone
  c.code = !c.residual ? c.y : walks_back ? Tensor{passing.as<void>(), v.shape, v.dtype} : run.make(v.shape);
  if (run.wants(args.site, "pre")) c.pre = run.make(v.shape);
  for (int s = 0; run.recording() && cpu && s < c.steps; ++s) c.resids.push_back(run.make_operand(v.shape));
  for (int s = 0; run.recording() && (cpu || run.frozen()) && s + 1 < c.steps; ++s)
    c.earlier.push_back(run.make_operand(v.shape));
  if (frozen::in_double(run) && !c.pre)
    encode_frozen(device, c);
  else
    encode.on(device.kind())(device, c);
  if (c.pre) run.see(args.site, "pre", c.pre);
  c.edit = run.see_inner(args.site, "code", c.code);
  if (c.residual) finish.on(device.kind())(device, c);
  const Cost cost = ista_cost(v.rows(), v.cols(), args.steps);
  if (run.frozen())
    run.record_frozen(
        "ista", c.y, cost, [&run, c, site = args.site] { walk_frozen(run, c, site); }, c.code);
  else
    run.record("ista", c.y, cost, {2 * cost.flops, 2 * cost.bytes}, [&run, c] { walk_back(run, c); });
  return c.y;
}

Cost ista_cost(int64_t rows, int64_t d, int steps) {
  return {2.0 * steps * gemm_flops(rows, d, d), 4.0 * static_cast<double>(2 * rows * d + d * d)};
}

}  // namespace crate
