#include "ops/patches.h"

#include "base/parallel.h"

namespace crate {
namespace {

// One patch: a row of a channel lies together in the image; in the patch its numbers are `stride` apart.
template <class F> void each_patch_row(const PatchCall& c, F&& f) {
  const Shape& s = c.images.shape;
  const int64_t r = c.args.rows, q = c.args.columns, grid = s[3] / q, n = s[2] / r * grid;
  const bool channels_last = c.args.order == PatchOrder::row_column_channel;
  parallel_for(s[0] * n, 8, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      const int64_t image = i / n, row = i % n / grid * r, column = i % n % grid * q;
      for (int64_t channel = 0; channel < s[1]; ++channel) {
        for (int64_t y = 0; y < r; ++y) {
          const int64_t pixel = ((image * s[1] + channel) * s[2] + row + y) * s[3] + column;
          const int64_t inside = channels_last ? y * q * s[1] + channel : (channel * r + y) * q;
          f(pixel, i * c.rows.cols() + inside, q, channels_last ? s[1] : 1);
        }
      }
    }
  });
}

void forward_ref(Device&, const PatchCall& c) {
  visit_ref(c.rows.dtype, [&](auto zero) { ref::patches<decltype(zero)>(c); });
}

void forward_cpu(Device&, const PatchCall& c) {
  const float* images = c.images.as<float>();
  float* rows = c.rows.as<float>();
  each_patch_row(c, [&](int64_t pixel, int64_t place, int64_t q, int64_t stride) {
    for (int64_t x = 0; x < q; ++x) rows[place + x * stride] = images[pixel + x];
  });
}

void backward_ref(Device&, const PatchCall& c, const GradTo& d_images) {
  visit_ref(c.rows.dtype, [&](auto zero) { ref::patches_backward<decltype(zero)>(c, d_images); });
}

void backward_cpu(Device&, const PatchCall& c, const GradTo& d_images) {
  const float* rows = c.rows.as<float>();
  float* images = d_images.to.as<float>();
  const bool add = d_images.add;
  each_patch_row(c, [&](int64_t pixel, int64_t place, int64_t q, int64_t stride) {
    for (int64_t x = 0; x < q; ++x) images[pixel + x] = (add ? images[pixel + x] : 0.0F) + rows[place + x * stride];
  });
}

constexpr Kernels<void(Device&, const PatchCall&)> forward{"patches", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const PatchCall&, const GradTo&)> backward{"patches backward", backward_ref,
                                                                           backward_cpu};

Shape shape_of_rows(const Shape& images, const PatchArgs& args) {
  require(images.rank() == 4, "[patches] images must be (b, channels, height, width), came {}", images.str());
  require(args.rows > 0 && args.columns > 0 && images[2] > 0 && images[3] > 0 && images[2] % args.rows == 0 &&
              images[3] % args.columns == 0,
          "[patches] images of {} x {} are no whole number of patches of {} x {}; resize or crop them", images[2],
          images[3], args.rows, args.columns);
  return {images[0], images[2] / args.rows * (images[3] / args.columns), images[1] * args.rows * args.columns};
}

}  // namespace

Tensor patches(Run& run, const Tensor& images, const PatchArgs& args) {
  Tensor rows = run.make(shape_of_rows(images.shape, args));
  if (images.id < 0) rows.id = -1;  // nobody asks for the gradient of pixels: none is computed up to here
  const PatchCall call{images, rows, args};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = patches_cost(rows.numel());
  const auto walk = [&run, call, kind] {
    const Tensor d_rows = run.grad_of(call.rows);
    if (!d_rows) return;
    if (const GradTo d_images = run.grad_to(call.images))
      backward.on(kind)(run.device(), {call.images, d_rows, call.args}, d_images);
  };
  if (run.frozen())
    run.record_frozen("patches", rows, cost, walk);
  else
    run.record("patches", rows, cost, cost, walk);
  return rows;
}

Tensor unpatches(Run& run, const Tensor& rows, int64_t channels, int64_t height, int64_t width, const PatchArgs& args) {
  const Tensor images = run.make({rows.shape[0], channels, height, width});
  const Shape expected = shape_of_rows(images.shape, args);
  require(rows.shape == expected, "[unpatches] expected {}, came {}", expected.str(), rows.shape.str());
  backward.on(run.device().kind())(run.device(), {images, rows, args}, {images, false});
  return images;
}

Cost patches_cost(int64_t numbers) { return {0, 8.0 * static_cast<double>(numbers)}; }

}  // namespace crate
