// The cpu kernels walk the rows in chunks that stay in a core's cache, one thread a chunk, all products of a chunk one
// after the other; only the sums over all rows, d_W and d_V, are large products at the end. Of a few rows, as when
// decoding, products that start from a code read the atoms it names and no others (few_rows.h). Atoms that a bound on
// norms proves silent could be left out of W r too. With u = W' z, what a code z takes off v, the bound of an atom with
// z_j = 0 is (W v)_j + |w_j| |u| <= lambda; it holds for no atom of models/wiki-crate-lm (128 tokens of a text) but for
// 2 in 10000 of its first layer, where 42 to 52 % are silent, and the simpler |w| |r| <= lambda for none at all: |w|
// |r| is about 1.4 sqrt(d) behind a norm and lambda about 0.1. Of crate-one, one step and lambda about 2, it holds for
// 4 to 8 % of the atoms of a layer of models/wiki-bytes and 0.2 to 2 % of wiki-bytes-3m, those that died in training,
// whatever comes in: counted, not measured, some 3 % of what a token reads. So every atom is asked.
#include "ops/ista_wide.h"

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

void forward_ref(Device&, const IstaWideCall& c) {
  visit_ref(c.v.dtype, [&](auto zero) { ref::ista_wide<decltype(zero)>(c); });
}

// A frozen run in double keeps every code, so its steps are products.
void forward_frozen(Device& device, const IstaWideCall& c) {
  const int64_t m = c.dict.rows();
  const double eta = *c.eta.as<double>();
  const frozen::Block shift(device, {m}), r(device, c.v.shape);
  for (int64_t i = 0; i < m; ++i) shift->as<double>()[i] = -eta * c.lambda.as<double>()[c.lambda.numel() > 1 ? i : 0];
  for (int s = 0; s < c.steps; ++s) {
    const Tensor z = s > 0 ? c.codes[s - 1] : Tensor{};
    if (z) gemm(device, {.a = z, .b = c.dict, .c = *r, .alpha = -1, .plus = c.v});
    gemm(device, {.a = z ? *r : c.v,
                  .b = c.dict,
                  .c = c.codes[s],
                  .trans_b = true,
                  .alpha = eta,
                  .bias = *shift,
                  .plus = z,
                  .relu = true});
  }
  if (c.watch) c.watch();
  gemm(device, {.a = c.codes.back(), .b = c.dict_out, .c = c.y, .plus = c.residual});
}

// Where the code after step s + 1 goes: into c.codes when it is kept, else into one half of the thread's own memory,
// the other half holding the code before it. Never in place: the order of additions must not depend on who listens.
Tensor code_rows(const IstaWideCall& c, int s, int64_t lo, int64_t hi, const ScratchMatrix& own) {
  if (c.codes[s]) return c.codes[s].row_slice(lo, hi);
  return s % 2 == 0 ? own->row_slice(0, hi - lo) : own->row_slice(hi - lo, 2 * (hi - lo));
}

// z_steps of the rows lo..hi.
Tensor encode_chunk(Device& device, const IstaWideCall& c, const Tensor& shift, const ScratchMatrix& own, int64_t lo,
                    int64_t hi) {
  const double eta = *c.eta.as<float>();
  const ScratchMatrix own_r(device, c.resids.empty() ? hi - lo : 0, c.v.cols());
  const Tensor v = c.v.row_slice(lo, hi);
  Tensor z, r = v;
  for (int s = 0; s < c.steps; ++s) {
    if (s > 0) {
      r = c.resids.empty() ? *own_r : c.resids[s - 1].row_slice(lo, hi);
      gemm(device, {.a = z, .b = c.dict, .c = r, .alpha = -1, .plus = v, .b_is_weight = true});
    }
    const bool to_pre = s + 1 == c.steps && c.pre;
    const Tensor next = to_pre ? c.pre.row_slice(lo, hi) : code_rows(c, s, lo, hi, own);
    gemm(device, {.a = r,
                  .b = c.dict,
                  .c = next,
                  .trans_b = true,
                  .alpha = eta,
                  .bias = shift,
                  .plus = z,
                  .relu = !to_pre,
                  .b_is_weight = true});
    z = next;
  }
  if (!c.pre) return z;
  const Tensor code = code_rows(c, c.steps - 1, lo, hi, own);
  relu_rows(z, code);
  return code;
}

void read_out(Device& device, const IstaWideCall& c, const Tensor& code, int64_t lo, int64_t hi) {
  gemm(device, {.a = code,
                .b = c.dict_out,
                .c = c.y.row_slice(lo, hi),
                .plus = c.residual ? c.residual.row_slice(lo, hi) : Tensor{},
                .b_is_weight = true});
}

void forward_cpu(Device& device, const IstaWideCall& c) {
  const int64_t rows = c.v.rows(), m = c.dict.rows();
  const ThresholdShift shift(device, c.eta, c.lambda, m);
  bool all_kept = true;
  for (const Tensor& code : c.codes) all_kept = all_kept && code;
  even_rows(rows, chunk_rows, [&](int64_t lo, int64_t hi) {
    const ScratchMatrix own(device, all_kept ? 0 : 2 * (hi - lo), m);
    const Tensor code = encode_chunk(device, c, shift.tensor(), own, lo, hi);
    if (!c.watch) read_out(device, c, code, lo, hi);
  });
  if (!c.watch) return;
  c.watch();
  even_rows(rows, chunk_rows,
            [&](int64_t lo, int64_t hi) { read_out(device, c, c.codes.back().row_slice(lo, hi), lo, hi); });
}

void backward_ref(Device&, const IstaWideCall& c, const IstaWideGrad& to) {
  visit_ref(c.v.dtype, [&](auto zero) { ref::ista_wide_backward<decltype(zero)>(c, to); });
}

// What the steps leave for d_W: g of every step, h of every step but the first, whose z is 0.
struct Kept {
  std::vector<ScratchMatrix> g, h;
  Dtype dtype() const { return g.front()->dtype; }
};

void backward_chunk(Device& device, const IstaWideCall& c, const IstaWideGrad& to, const Kept& kept, float* sums,
                    int64_t lo, int64_t hi) {
  const int64_t m = c.dict.rows();
  const float eta = *c.eta.as<float>();
  const bool narrow = kept.dtype() == Dtype::bf16;
  const ScratchMatrix own_z(device, narrow ? hi - lo : 0, m), first_h(device, hi - lo, c.v.cols());
  Tensor d_z = narrow ? *own_z : kept.g.back()->row_slice(lo, hi);
  gemm(device, {.a = to.d_y.row_slice(lo, hi), .b = c.dict_out, .c = d_z, .trans_b = true, .b_is_weight = true});
  for (int s = c.steps; s-- > 0;) {
    const Tensor g = kept.g[s]->row_slice(lo, hi), h = s > 0 ? kept.h[s - 1]->row_slice(lo, hi) : *first_h;
    mask_rows(d_z, c.codes[s].row_slice(lo, hi), g, sums);
    gemm(device, {.a = g, .b = c.dict, .c = h, .b_is_weight = true});
    if (sums) sums[m] += dot_rows(h, (s == 0 ? c.v : c.resids[s - 1]).row_slice(lo, hi));
    if (s > 0) {
      if (!narrow) d_z = kept.g[s - 1]->row_slice(lo, hi);
      gemm(device, {.a = h, .b = c.dict, .c = d_z, .trans_b = true, .alpha = -eta, .plus = g, .b_is_weight = true});
    }
  }
  if (!to.d_v) return;
  const Tensor d_v = to.d_v.to.row_slice(lo, hi);
  grow(d_v, to.d_v.add, eta, *first_h);
  for (const ScratchMatrix& h : kept.h) grow(d_v, true, eta, h->row_slice(lo, hi));
}

// d_W = sum over steps of eta (g' r - z' h) [+ z' d_y when tied]; in rows, one product each.
void backward_dicts(Device& device, const IstaWideCall& c, const IstaWideGrad& to, const Kept& kept) {
  const double eta = *c.eta.as<float>();
  const bool tied = c.dict.data == c.dict_out.data && !to.d_dict_out;
  if (to.d_dict) {
    const auto add_product = [&](const Tensor& a, const Tensor& b, double alpha, bool add) {
      gemm(device, {.a = a, .b = b, .c = to.d_dict.to, .trans_a = true, .alpha = alpha, .add = add});
    };
    add_product(*kept.g[0], c.v, eta, to.d_dict.add);
    for (int s = 1; s < c.steps; ++s) {
      add_product(*kept.g[s], c.resids[s - 1], eta, true);
      add_product(c.codes[s - 1], *kept.h[s - 1], -eta, true);
    }
    if (tied) add_product(c.codes.back(), to.d_y, 1, true);
  }
  if (!to.d_dict_out) return;
  gemm(device, {.a = c.codes.back(), .b = to.d_y, .c = to.d_dict_out.to, .trans_a = true, .add = to.d_dict_out.add});
}

void backward_cpu(Device& device, const IstaWideCall& c, const IstaWideGrad& to) {
  const int64_t rows = c.v.rows(), d = c.v.cols(), m = c.dict.rows();
  Kept kept;
  for (int s = 0; s < c.steps; ++s) {
    kept.g.emplace_back(device, rows, m, c.codes[s].dtype);
    if (s > 0) kept.h.emplace_back(device, rows, d, c.codes[s].dtype);
  }
  const ThresholdGrad threshold{to.d_eta, to.d_lambda};
  const RowSums sums(device, threshold.wanted() ? rows : 0, chunk_rows, m + 1);
  parallel_chunks(rows, chunk_rows, [&](int64_t chunk, int64_t lo, int64_t hi) {
    backward_chunk(device, c, to, kept, threshold.wanted() ? sums.open(chunk) : nullptr, lo, hi);
  });
  if (threshold.wanted()) {
    sums.close();
    write_threshold(c.eta, c.lambda, sums, m, threshold);
  }
  backward_dicts(device, c, to, kept);
}

constexpr Kernels<void(Device&, const IstaWideCall&)> forward{"ista_wide", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const IstaWideCall&, const IstaWideGrad&)> backward{"ista_wide backward", backward_ref,
                                                                                    backward_cpu};

void check(const Tensor& v, const IstaWideArgs& args) {
  const int64_t d = v.cols(), m = args.dict.rows();
  require(args.dict.cols() == d, "[ista_wide] dict must be (.., {}), came {}", d, args.dict.shape.str());
  require(!args.dict_out || args.dict_out.shape == args.dict.shape, "[ista_wide] dict_out must be {}, came {}",
          args.dict.shape.str(), args.dict_out.shape.str());
  require(args.steps >= 1, "[ista_wide] expected at least one step, came {}", args.steps);
  require(!args.residual || args.residual.shape == v.shape, "[ista_wide] residual must be {}, came {}", v.shape.str(),
          args.residual.shape.str());
  check_threshold("ista_wide", args.eta, args.lambda, m);
}

void walk_back(Run& run, const IstaWideCall& c, bool tied) {
  Device& device = run.device();
  const Tensor d_y = run.grad_of(c.y);
  const IstaWideGrad to{d_y,
                        run.grad_to(c.v),
                        run.grad_to(c.dict),
                        tied ? GradTo{} : run.grad_to(c.dict_out),
                        run.grad_to(c.eta),
                        run.grad_to(c.lambda)};
  backward.on(device.kind())(device, c, to);
  if (c.residual) run.pass_grad(c.y, c.residual);
}

// With d_z the gradient of the code (seeds of the caller included): the loop of ref::ista_wide_backward without
// weights.
void walk_frozen(Run& run, const IstaWideCall& c, const Site& site) {
  Device& device = run.device();
  const Tensor d_y = run.grad_of(c.y);
  const int64_t rows = c.v.rows(), d = c.v.cols(), m = c.dict.rows();
  const double eta = frozen::number(c.eta);
  const std::size_t size = size_of(run.real());
  const Scratch g_block = run.scratch(static_cast<std::size_t>(rows * m) * size);
  const Scratch h_block = run.scratch(static_cast<std::size_t>(rows * d) * size);
  const Scratch z_block = run.scratch(static_cast<std::size_t>(rows * m) * size);
  const Tensor g{g_block.as<void>(), {rows, m}, run.real()}, h{h_block.as<void>(), {rows, d}, run.real()};
  Tensor d_z = frozen::read_through(run, c.codes.back(), d_y, c.dict_out, true);
  const GradTo d_v = run.grad_to(c.v);
  for (int s = c.steps; s-- > 0;) {
    const bool edited = c.edit && s + 1 == c.steps;
    frozen::mask(d_z, edited ? c.edit.before : c.codes[s], g);
    if (s + 1 == c.steps) frozen::heed(run, site, c.edit, d_z, g);
    run.leave_constant(c.lambda, site.at("lambda"), frozen::row_dots(g, c.lambda, -eta), true);
    gemm(device, {.a = g, .b = c.dict, .c = h, .b_is_weight = true});
    frozen::grow({d_v.to, d_v.add || s + 1 < c.steps}, eta, h);
    if (s == 0) break;
    d_z = {z_block.as<void>(), {rows, m}, run.real()};
    gemm(device, {.a = h, .b = c.dict, .c = d_z, .trans_b = true, .alpha = -eta, .plus = g, .b_is_weight = true});
  }
  if (d_y && c.residual) run.pass_grad(c.y, c.residual);
}

// Shape of v with the width of the code.
Shape code_shape(const Tensor& v, int64_t m) {
  return v.shape.rank() == 3 ? Shape{v.shape[0], v.shape[1], m} : Shape{v.rows(), m};
}

}  // namespace

Tensor ista_wide(Run& run, const Tensor& v, const IstaWideArgs& args) {
  check(v, args);
  const Device& device = run.device();
  const bool tied = !args.dict_out, cpu = device.kind() != DeviceKind::ref;
  const Shape wide = code_shape(v, args.dict.rows());
  IstaWideCall c{v,
                 args.dict,
                 tied ? args.dict : args.dict_out,
                 args.eta,
                 args.lambda,
                 args.residual,
                 run.make(v.shape),
                 args.steps,
                 {},
                 {},
                 {},
                 {},
                 {}};
  const bool code = run.wants(args.site, "code"), pre = run.wants(args.site, "pre");
  const bool first = c.steps > 1 && run.wants(args.site, "code0");
  c.codes.resize(c.steps);
  for (int s = 0; s < c.steps; ++s) {
    const bool watched = (code && s + 1 == c.steps) || (first && s == 0);
    if ((run.recording() && (cpu || run.frozen())) || watched) c.codes[s] = run.make_operand(wide);
  }
  for (int s = 1; run.recording() && cpu && s < c.steps; ++s) c.resids.push_back(run.make_operand(v.shape));
  if (pre) c.pre = run.make(wide);
  if (code || pre || first) {
    c.watch = [&] {
      if (first) run.see(args.site, "code0", c.codes[0]);
      if (pre) run.see(args.site, "pre", c.pre);
      if (code) c.edit = run.see_inner(args.site, "code", c.codes.back());
    };
    if (!c.codes.back()) c.codes.back() = run.make_operand(wide);
  }
  if (frozen::in_double(run) && !c.pre)
    forward_frozen(run.device(), c);
  else
    forward.on(device.kind())(run.device(), c);
  c.watch = nullptr;
  const Cost cost = ista_wide_cost(v.rows(), v.cols(), args.dict.rows(), args.steps);
  if (run.frozen())
    run.record_frozen(
        "ista_wide", c.y, cost, [&run, c, site = args.site] { walk_frozen(run, c, site); },
        run.recording() ? c.codes.back() : Tensor{});
  else
    run.record("ista_wide", c.y, cost, {2 * cost.flops, 2 * cost.bytes}, [&run, c, tied] { walk_back(run, c, tied); });
  return c.y;
}

Cost ista_wide_cost(int64_t rows, int64_t d, int64_t m, int steps) {
  return {2.0 * steps * gemm_flops(rows, m, d), 4.0 * static_cast<double>(2 * rows * d + m * d)};
}

}  // namespace crate
