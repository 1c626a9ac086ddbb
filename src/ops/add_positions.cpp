#include "ops/add_positions.h"

#include "base/parallel.h"
#include "ops/frozen.h"
#include "ops/rows.h"

namespace crate {
namespace {

void forward_ref(Device&, const AddPositionsCall& c) {
  visit_ref(c.y.dtype, [&](auto zero) { ref::add_positions<decltype(zero)>(c); });
}

void forward_cpu(Device&, const AddPositionsCall& c) {
  const int64_t n = c.y.shape[1], d = c.y.cols(), before = c.first ? 1 : 0;
  const float *x = c.x.as<float>(), *first = ref::maybe<float>(c.first), *positions = ref::maybe<float>(c.positions);
  float* y = c.y.as<float>();
  parallel_for(c.y.rows(), 64, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      const int64_t image = i / n, token = i % n;
      const float* from = token < before ? first : x + (image * (n - before) + token - before) * d;
      if (positions)
        add_row(from, positions + token * d, y + i * d, d);
      else
        std::copy_n(from, d, y + i * d);
    }
  });
}

void backward_ref(Device&, const AddPositionsCall& c, const AddPositionsGrad& to) {
  visit_ref(c.y.dtype, [&](auto zero) { ref::add_positions_backward<decltype(zero)>(c, to); });
}

// Threads share the columns, not the rows: each sum has one owner, who adds in the order of the images.
void backward_cpu(Device&, const AddPositionsCall& c, const AddPositionsGrad& to) {
  const int64_t n = c.y.shape[1], d = c.y.cols(), before = c.first ? 1 : 0;
  const float* d_y = to.d_y.as<float>();
  float *d_x = ref::maybe<float>(to.d_x.to), *d_first = ref::opened<float>(to.d_first),
        *d_positions = ref::opened<float>(to.d_positions);
  parallel_for(d, 16, [&](int64_t lo, int64_t hi) {
    for (int64_t i = 0; i < c.y.rows(); ++i) {
      const int64_t image = i / n, token = i % n;
      const float* from = d_y + i * d + lo;
      if (d_positions) grow(d_positions + token * d + lo, from, hi - lo);
      if (token < before) {
        if (d_first) grow(d_first + lo, from, hi - lo);
        continue;
      }
      if (!d_x) continue;
      float* at = d_x + (image * (n - before) + token - before) * d + lo;
      if (to.d_x.add)
        grow(at, from, hi - lo);
      else
        std::copy_n(from, hi - lo, at);
    }
  });
}

constexpr Kernels<void(Device&, const AddPositionsCall&)> forward{"add_positions", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const AddPositionsCall&, const AddPositionsGrad&)> backward{"add_positions backward",
                                                                                            backward_ref, backward_cpu};

void walk_frozen(Run& run, const AddPositionsCall& c, DeviceKind kind) {
  const Tensor d_y = run.grad_of(c.y);
  const int64_t n = c.y.shape[1];
  if (const GradTo d_x = run.grad_to(c.x)) backward.on(kind)(run.device(), c, {d_y, d_x, {}, {}});
  std::vector<double> first(static_cast<std::size_t>(d_y.rows())), positions;
  for (int64_t i = 0; i < d_y.rows(); ++i) {
    const Tensor row = d_y.row_slice(i, i + 1);
    if (c.first && i % n == 0) first[static_cast<std::size_t>(i)] = frozen::row_dots(row, c.first)[0];
    if (c.positions) positions.push_back(frozen::row_dots(row, c.positions.row_slice(i % n, i % n + 1))[0]);
  }
  if (c.first) run.leave_constant(c.first, "first", std::move(first));
  if (c.positions) run.leave_constant(c.positions, "embed.pos", std::move(positions));
}

}  // namespace

Tensor add_positions(Run& run, const Tensor& x, const AddPositionsArgs& args) {
  require(x.shape.rank() == 3, "[add_positions] tokens must be (b, n, d), came {}", x.shape.str());
  const int64_t n = x.shape[1] + (args.first ? 1 : 0), d = x.cols();
  require(!args.first || args.first.numel() == d, "[add_positions] the first token must hold {} numbers, came {}", d,
          args.first.shape.str());
  require(!args.positions || (args.positions.rows() == n && args.positions.cols() == d),
          "[add_positions] positions must be ({}, {}), came {}", n, d, args.positions.shape.str());
  const Tensor y = run.make({x.shape[0], n, d});
  const AddPositionsCall call{x, args.first, args.positions, y};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = add_positions_cost(y.rows(), d);
  if (run.frozen()) {
    run.record_frozen("add_positions", y, cost, [&run, call, kind] { walk_frozen(run, call, kind); });
    return y;
  }
  run.record("add_positions", y, cost, cost, [&run, call, kind] {
    const Tensor d_y = run.grad_of(call.y);
    const GradTo d_x = run.grad_to(call.x), d_first = call.first ? run.grad_to(call.first) : GradTo{},
                 d_positions = call.positions ? run.grad_to(call.positions) : GradTo{};
    backward.on(kind)(run.device(), call, {d_y, d_x, d_first, d_positions});
  });
  return y;
}

Cost add_positions_cost(int64_t rows, int64_t d) {
  const auto numbers = static_cast<double>(rows * d);
  return {numbers, 8 * numbers};
}

}  // namespace crate
