#include "ops/dropout.h"

#include <cmath>

#include "base/parallel.h"
#include "base/rng.h"
#include "tensor/vector.h"

namespace crate {
namespace {

constexpr int64_t block = 8;      // numbers decided by one draw of 128 bits, 16 each
constexpr double levels = 65536;  // of 16 bits
constexpr int step_bits = 28;     // of the 64-bit address; the rest counts the blocks of a tensor
constexpr int block_bits = 64 - step_bits;

// The same mask on every device. Number i dies when its 16 bits fall below p 2^16.
void draw_mask(const RunOptions& options, uint64_t site, uint32_t threshold, const Tensor& mask) {
  const Rng rng(options.seed, Stream::dropout);
  uint8_t* to = mask.as<uint8_t>();
  const int64_t n = mask.numel();
  const uint64_t first = options.step << block_bits;
  parallel_for((n + block - 1) / block, 512, [=](int64_t lo, int64_t hi) {
    for (int64_t b = lo; b < hi; ++b) {
      const auto bits = rng.block(site, first + static_cast<uint64_t>(b));
      for (int64_t k = 0; k < block && b * block + k < n; ++k) {
        const uint32_t half = bits[static_cast<std::size_t>(k / 2)] >> (16 * (k % 2)) & 0xFFFF;
        to[b * block + k] = half >= threshold;
      }
    }
  });
}

CRATE_CLONES void mask_numbers(const float* from, const uint8_t* mask, float scale, float* to, bool add, int64_t n) {
  vec::put(to, add, n, [=](int64_t i) { return mask[i] ? from[i] * scale : 0.0F; });
}

void apply_ref(Device&, const DropoutCall& c, const Tensor& from, const GradTo& to) {
  visit_ref(from.dtype, [&](auto zero) { ref::dropout<decltype(zero)>(c, from, to); });
}

void apply_cpu(Device&, const DropoutCall& c, const Tensor& from, const GradTo& to) {
  const float* x = from.as<float>();
  const uint8_t* mask = c.mask.as<uint8_t>();
  float* y = to.to.as<float>();
  const auto scale = static_cast<float>(c.scale);
  parallel_for(from.numel(), 1 << 13, [=, add = to.add](int64_t lo, int64_t hi) {
    mask_numbers(x + lo, mask + lo, scale, y + lo, add, hi - lo);
  });
}

constexpr Kernels<void(Device&, const DropoutCall&, const Tensor&, const GradTo&)> apply{"dropout", apply_ref,
                                                                                         apply_cpu};

}  // namespace

Tensor dropout(Run& run, const Tensor& x, const DropoutArgs& args) {
  require(args.p >= 0 && args.p < 1, "[dropout] p must lie in [0, 1), came {}", args.p);
  const double threshold = std::min(std::round(args.p * levels), levels - 1);
  if (!run.options().train || threshold == 0) return x;
  require(args.site < uint64_t{1} << 32, "[dropout] site must be below 2^32, came {}", args.site);
  require(run.options().step < uint64_t{1} << step_bits, "[dropout] step must be below 2^{}, came {}", step_bits,
          run.options().step);
  const DropoutCall call{x, run.make(x.shape), run.make(x.shape, Dtype::u8), 1 / (1 - threshold / levels)};
  draw_mask(run.options(), args.site, static_cast<uint32_t>(threshold), call.mask);
  const DeviceKind kind = run.device().kind();
  apply.on(kind)(run.device(), call, x, {call.y, false});
  const Cost cost = dropout_cost(x.numel());
  run.record("dropout", call.y, cost, cost, [&run, call, kind] {
    const Tensor d_y = run.grad_of(call.y);
    if (const GradTo d_x = run.grad_to(call.x)) apply.on(kind)(run.device(), call, d_y, d_x);
  });
  return call.y;
}

Cost dropout_cost(int64_t numbers) { return {2.0 * static_cast<double>(numbers), 9.0 * static_cast<double>(numbers)}; }

}  // namespace crate
