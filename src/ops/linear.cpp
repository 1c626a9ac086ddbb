#include "ops/linear.h"

#include "base/parallel.h"
#include "ops/even_rows.h"
#include "ops/frozen.h"
#include "ops/reference.h"
#include "ops/row_sums.h"
#include "tensor/gemm.h"

namespace crate {
namespace {

Shape output_shape(const Shape& x, int64_t d_out) {
  switch (x.rank()) {
    case 1:
      return {d_out};
    case 2:
      return {x[0], d_out};
    case 3:
      return {x[0], x[1], d_out};
    default:
      return {x[0], x[1], x[2], d_out};
  }
}

constexpr int64_t chunk_rows = 128;  // of a walk whose products and sums stay in a core's cache

template <class T> void sum_rows_ref(const GradTo& to, const Tensor& x) {
  T* sums = ref::opened<T>(to);
  for (int64_t i = 0; i < x.numel(); ++i) sums[i % x.cols()] += x.as<T>()[i];
}

void product(Run& run, const Tensor& x, const LinearArgs& args, const Tensor& y) {
  even_rows(x.rows(), chunk_rows, [&](int64_t lo, int64_t hi) {
    gemm(run.device(), {.a = x.row_slice(lo, hi),
                        .b = args.weight,
                        .c = y.row_slice(lo, hi),
                        .trans_b = true,
                        .bias = args.bias,
                        .plus = args.residual ? args.residual.row_slice(lo, hi) : Tensor{},
                        .b_is_weight = true});
  });
}

void backward_input(Run& run, const Tensor& x, const LinearArgs& args, const Tensor& y) {
  const Tensor d_y = run.grad_of(y);
  if (const GradTo d_x = run.grad_to(x)) {
    even_rows(x.rows(), chunk_rows, [&](int64_t lo, int64_t hi) {
      gemm(run.device(), {.a = d_y.row_slice(lo, hi),
                          .b = args.weight,
                          .c = d_x.to.row_slice(lo, hi),
                          .add = d_x.add,
                          .b_is_weight = true});
    });
  }
  if (args.residual) run.pass_grad(y, args.residual);
}

void backward(Run& run, const Tensor& x, const LinearArgs& args, const Tensor& y) {
  Device& device = run.device();
  const Tensor d_y = run.grad_of(y);
  if (const GradTo d_w = run.grad_to(args.weight))
    gemm(device, {.a = d_y, .b = x, .c = d_w.to, .trans_a = true, .add = d_w.add});
  if (const GradTo d_b = args.bias ? run.grad_to(args.bias) : GradTo{}) sum_rows(device, d_b, d_y);
  backward_input(run, x, args, y);
}

void backward_frozen(Run& run, const Tensor& x, const LinearArgs& args, const Tensor& y) {
  if (args.bias) run.leave_constant(args.bias, "bias", frozen::row_dots(run.grad_of(y), args.bias));
  backward_input(run, x, args, y);
}

}  // namespace

void sum_rows(Device& device, const GradTo& to, const Tensor& x) {
  require(to.to.numel() == x.cols(), "[sum_rows] expected {} sums, came {}", x.cols(), to.to.numel());
  if (x.dtype != Dtype::f32) return visit_ref(x.dtype, [&](auto zero) { sum_rows_ref<decltype(zero)>(to, x); });
  const RowSums sums(device, x.rows(), chunk_rows, x.cols());
  parallel_chunks(x.rows(), chunk_rows, [&](int64_t chunk, int64_t lo, int64_t hi) {
    add_rows(x.as<float>() + lo * x.cols(), hi - lo, x.cols(), sums.open(chunk));
  });
  sums.close();
  sums.write(to);
}

Tensor linear(Run& run, const Tensor& x, const LinearArgs& args) {
  const int64_t d_out = args.weight.rows(), d_in = args.weight.cols();
  require(x.cols() == d_in, "[linear] weight must be (.., {}), came {}", x.cols(), args.weight.shape.str());
  const Shape shape = output_shape(x.shape, d_out);
  Tensor y = args.operand ? run.make_operand(shape) : run.make(shape);
  product(run, x, args, y);
  const Cost forward = linear_cost(x.rows(), d_in, d_out);
  if (run.frozen())
    run.record_frozen("linear", y, forward, [&run, x, args, y] { backward_frozen(run, x, args, y); });
  else
    run.record("linear", y, forward, {2 * forward.flops, 2 * forward.bytes},
               [&run, x, args, y] { backward(run, x, args, y); });
  return y;
}

Cost linear_cost(int64_t rows, int64_t d_in, int64_t d_out) {
  return {gemm_flops(rows, d_out, d_in), 4.0 * static_cast<double>(rows * d_in + d_in * d_out + rows * d_out)};
}

}  // namespace crate
