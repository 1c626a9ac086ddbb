#include "ops/linear.h"

#include <vector>

#include "base/parallel.h"
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

// Partial sums over fixed chunks of rows, added in chunk order: the same bits for every thread count.
template <class T> void sum_rows_of(Device& device, const GradTo& to, const Tensor& x) {
  constexpr int64_t chunk_rows = 256;
  const int64_t rows = x.rows(), n = x.cols(), chunks = (rows + chunk_rows - 1) / chunk_rows;
  const Scratch partial(device.pool(), static_cast<std::size_t>(chunks * n) * sizeof(T));
  T* sums = partial.as<T>();
  const T* from = x.as<T>();
  parallel_chunks(rows, chunk_rows, [=](int64_t chunk, int64_t lo, int64_t hi) {
    T* sum = sums + chunk * n;
    for (int64_t j = 0; j < n; ++j) sum[j] = 0;
    for (int64_t i = lo; i < hi; ++i) {
      for (int64_t j = 0; j < n; ++j) sum[j] += from[i * n + j];
    }
  });
  T* out = to.to.as<T>();
  if (!to.add) std::fill_n(out, n, T{0});
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (int64_t j = 0; j < n; ++j) out[j] += sums[chunk * n + j];
  }
}

void backward(Run& run, const Tensor& x, const LinearArgs& args, const Tensor& y) {
  Device& device = run.device();
  const Tensor d_y = run.grad_of(y);
  if (const GradTo d_w = run.grad_to(args.weight)) {
    gemm(device, {.a = d_y, .b = x, .c = d_w.to, .trans_a = true, .add = d_w.add});
  }
  if (args.bias) {
    if (const GradTo d_b = run.grad_to(args.bias)) sum_rows(device, d_b, d_y);
  }
  if (const GradTo d_x = run.grad_to(x)) {
    gemm(device, {.a = d_y, .b = args.weight, .c = d_x.to, .add = d_x.add, .b_is_weight = true});
  }
  if (args.residual) run.pass_grad(y, args.residual);
}

}  // namespace

void sum_rows(Device& device, const GradTo& to, const Tensor& x) {
  require(to.to.numel() == x.cols(), "[sum_rows] expected {} sums, came {}", x.cols(), to.to.numel());
  if (x.dtype == Dtype::f32) return sum_rows_of<float>(device, to, x);
  visit_ref(x.dtype, [&](auto zero) { sum_rows_of<decltype(zero)>(device, to, x); });
}

Tensor linear(Run& run, const Tensor& x, const LinearArgs& args) {
  const int64_t d_out = args.weight.rows(), d_in = args.weight.cols();
  require(x.cols() == d_in, "[linear] weight must be (.., {}), came {}", x.cols(), args.weight.shape.str());
  Tensor y = run.make(output_shape(x.shape, d_out));
  gemm(run.device(), {.a = x,
                      .b = args.weight,
                      .c = y,
                      .trans_b = true,
                      .bias = args.bias,
                      .plus = args.residual,
                      .b_is_weight = true});
  const Cost forward = linear_cost(x.rows(), d_in, d_out);
  run.record("linear", y, forward, {2 * forward.flops, 2 * forward.bytes},
             [&run, x, args, y] { backward(run, x, args, y); });
  return y;
}

Cost linear_cost(int64_t rows, int64_t d_in, int64_t d_out) {
  return {gemm_flops(rows, d_out, d_in), 4.0 * static_cast<double>(rows * d_in + d_in * d_out + rows * d_out)};
}

}  // namespace crate
