#include "ops/pick_tokens.h"

#include "base/parallel.h"
#include "ops/rows.h"

namespace crate {
namespace {

void forward_ref(Device&, const PickCall& c) {
  visit_ref(c.y.dtype, [&](auto zero) { ref::pick_tokens<decltype(zero)>(c); });
}

void forward_cpu(Device&, const PickCall& c) {
  const int64_t n = c.x.shape[1], m = c.index.shape[1], d = c.y.cols();
  const float *x = c.x.as<float>(), *fill = ref::maybe<float>(c.fill);
  const int32_t* index = c.index.as<int32_t>();
  float* y = c.y.as<float>();
  parallel_for(c.y.rows(), 64, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) std::copy_n(index[i] < 0 ? fill : x + (i / m * n + index[i]) * d, d, y + i * d);
  });
}

void backward_ref(Device&, const PickCall& c, const PickGrad& to) {
  visit_ref(c.y.dtype, [&](auto zero) { ref::pick_tokens_backward<decltype(zero)>(c, to); });
}

// Threads share the columns, not the rows: each sum has one owner, who adds in the order of the places.
void backward_cpu(Device&, const PickCall& c, const PickGrad& to) {
  const int64_t n = c.x.shape[1], m = c.index.shape[1], d = c.y.cols();
  const int32_t* index = c.index.as<int32_t>();
  const float* d_y = to.d_y.as<float>();
  float *d_x = ref::opened<float>(to.d_x), *d_fill = ref::opened<float>(to.d_fill);
  parallel_for(d, 16, [&](int64_t lo, int64_t hi) {
    for (int64_t i = 0; i < c.y.rows(); ++i) {
      float* sum = index[i] < 0 ? d_fill : d_x ? d_x + (i / m * n + index[i]) * d : nullptr;
      if (sum) grow(sum + lo, d_y + i * d + lo, hi - lo);
    }
  });
}

constexpr Kernels<void(Device&, const PickCall&)> forward{"pick_tokens", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const PickCall&, const PickGrad&)> backward{"pick_tokens backward", backward_ref,
                                                                            backward_cpu};

void check(const Tensor& x, const PickArgs& args) {
  require(x.shape.rank() == 3 && args.index.shape.rank() == 2 && args.index.shape[0] == x.shape[0],
          "[pick_tokens] expected tokens (b, n, d) and indices (b, m), came {} and {}", x.shape.str(),
          args.index.shape.str());
  require(!args.fill || args.fill.numel() == x.cols(), "[pick_tokens] fill must hold {} numbers, came {}", x.cols(),
          args.fill.shape.str());
  const int32_t least = args.fill ? -1 : 0;
  for (int64_t i = 0; i < args.index.numel(); ++i) {
    const int32_t from = args.index.as<int32_t>()[i];
    require(from >= least && from < x.shape[1], "[pick_tokens] index {} at place {} lies outside [{}, {})", from, i,
            least, x.shape[1]);
  }
}

}  // namespace

Tensor pick_tokens(Run& run, const Tensor& x, const PickArgs& args) {
  check(x, args);
  const Tensor y = run.make({x.shape[0], args.index.shape[1], x.cols()});
  const PickCall call{x, args.index, args.fill, y};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = pick_tokens_cost(y.rows(), y.cols());
  run.record("pick_tokens", y, cost, cost, [&run, call, kind] {
    const Tensor d_y = run.grad_of(call.y);
    const GradTo d_fill = call.fill ? run.grad_to(call.fill) : GradTo{};
    backward.on(kind)(run.device(), call, {d_y, run.grad_to(call.x), d_fill});
  });
  return y;
}

Cost pick_tokens_cost(int64_t rows, int64_t d) { return {0, 8.0 * static_cast<double>(rows * d)}; }

}  // namespace crate
