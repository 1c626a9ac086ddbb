#include "ops/resample_positions.h"

#include "base/parallel.h"
#include "ops/rows.h"

namespace crate {
namespace {

double cubic(double x) {
  constexpr double a = -0.75;
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

void forward_ref(Device&, const ResampleCall& c) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::resample_positions<decltype(zero)>(c); });
}

// Threads share the columns of the table: each sum has one owner, who adds in the order of the pairs.
void forward_cpu(Device&, const ResampleCall& c) {
  const int64_t d = c.x.cols();
  std::fill_n(c.y.as<float>(), c.y.numel(), 0.0F);
  parallel_for(d, 16, [&](int64_t lo, int64_t hi) {
    each_pair(c, [&](int64_t to, int64_t from, double weight) {
      grow(c.y.as<float>() + to * d + lo, static_cast<float>(weight), c.x.as<float>() + from * d + lo, hi - lo);
    });
  });
}

void backward_ref(Device&, const ResampleCall& c, const Tensor& d_y, const GradTo& to) {
  visit_ref(c.x.dtype, [&](auto zero) { ref::resample_positions_backward<decltype(zero)>(c, d_y, to); });
}

void backward_cpu(Device&, const ResampleCall& c, const Tensor& d_y, const GradTo& to) {
  const int64_t d = c.x.cols();
  float* d_x = ref::opened<float>(to);
  parallel_for(d, 16, [&](int64_t lo, int64_t hi) {
    each_pair(c, [&](int64_t row, int64_t from, double weight) {
      grow(d_x + from * d + lo, static_cast<float>(weight), d_y.as<float>() + row * d + lo, hi - lo);
    });
  });
}

constexpr Kernels<void(Device&, const ResampleCall&)> forward{"resample_positions", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const ResampleCall&, const Tensor&, const GradTo&)> backward{
    "resample_positions backward", backward_ref, backward_cpu};

}  // namespace

std::vector<Taps> cubic_taps(int64_t from, int64_t to) {
  std::vector<Taps> out(static_cast<std::size_t>(to));
  for (int64_t o = 0; o < to; ++o) {
    const double s = (static_cast<double>(o) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    const auto first = static_cast<int64_t>(std::floor(s));
    for (int64_t k = 0; k < 4; ++k) {
      Taps& taps = out[static_cast<std::size_t>(o)];
      taps.at[static_cast<std::size_t>(k)] = std::clamp<int64_t>(first + k - 1, 0, from - 1);
      taps.weight[static_cast<std::size_t>(k)] = cubic(s - static_cast<double>(first + k - 1));
    }
  }
  return out;
}

Tensor resample_positions(Run& run, const Tensor& x, const ResampleArgs& args) {
  const int64_t old = args.before + args.from.rows * args.from.columns;
  require(args.to.rows > 0 && args.to.columns > 0 && args.before >= 0 && x.rows() == old && old > args.before,
          "[resample_positions] expected ({}, d), came {}", old, x.shape.str());
  const Tensor y = run.make({args.before + args.to.rows * args.to.columns, x.cols()});
  const ResampleCall call{x, y, args, cubic_taps(args.from.rows, args.to.rows),
                          cubic_taps(args.from.columns, args.to.columns)};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = resample_positions_cost(args.to.rows * args.to.columns, x.cols());
  const auto walk = [&run, call, kind] {
    const Tensor d_y = run.grad_of(call.y);
    if (const GradTo d_x = run.grad_to(call.x)) backward.on(kind)(run.device(), call, d_y, d_x);
  };
  if (run.frozen())
    run.record_frozen("resample_positions", y, cost, walk);
  else
    run.record("resample_positions", y, cost, cost, walk);
  return y;
}

Cost resample_positions_cost(int64_t places, int64_t d) {
  const auto numbers = static_cast<double>(places * d);
  return {32 * numbers, 8 * numbers};
}

}  // namespace crate
