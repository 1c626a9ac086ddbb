// patches: images cut into patches, one row of numbers a patch (im2row without overlap).
// x (b, c, h, w), patches of r x s pixels in rows of the grid, y (b, n, c r s) with n = (h / r) (w / s).
// The numbers of a patch come in the order row, column, channel (CRATE, and the targets of the auto-encoders) or
// channel, row, column (a convolution's kernel: CRATE-alpha, ViT, the inputs of the auto-encoders).
//
// Every pixel lies in one patch: the backward is the same walk the other way (frozen too), and unpatches() puts
// pictures together.
#pragma once
#include "ops/reference.h"
#include "run/run.h"

namespace crate {

enum class PatchOrder : uint8_t { row_column_channel, channel_row_column };

struct PatchArgs {
  int64_t rows = 1, columns = 1;  // of a patch
  PatchOrder order = PatchOrder::channel_row_column;
};

/// Throws Error unless the image is a whole number of patches.
Tensor patches(Run& run, const Tensor& images, const PatchArgs& args);

/// The images (b, channels, height, width) whose patches these are. Not recorded.
Tensor unpatches(Run& run, const Tensor& rows, int64_t channels, int64_t height, int64_t width, const PatchArgs& args);

Cost patches_cost(int64_t numbers);

/// One call as its kernels see it: `images` (b, c, h, w) and `rows` (b, n, c r s) hold the same numbers.
struct PatchCall {
  Tensor images, rows;
  PatchArgs args;
};

namespace ref {

/// Calls f(place in images, place in rows) for every number.
template <class F> void each_patch_number(const PatchCall& c, F&& f) {
  const Shape& s = c.images.shape;
  const int64_t r = c.args.rows, q = c.args.columns, grid = s[3] / q, n = s[2] / r * grid;
  for (int64_t i = 0; i < c.images.numel(); ++i) {
    const int64_t column = i % s[3], row = i / s[3] % s[2], channel = i / (s[3] * s[2]) % s[1],
                  image = i / (s[3] * s[2] * s[1]);
    const int64_t patch = row / r * grid + column / q, y = row % r, x = column % q;
    const int64_t inside =
        c.args.order == PatchOrder::row_column_channel ? (y * q + x) * s[1] + channel : (channel * r + y) * q + x;
    f(i, (image * n + patch) * c.rows.cols() + inside);
  }
}

template <class T> void patches(const PatchCall& c) {
  each_patch_number(c, [&](int64_t i, int64_t to) { c.rows.as<T>()[to] = c.images.as<T>()[i]; });
}

/// d_images (+)= the numbers of `rows`.
template <class T> void patches_backward(const PatchCall& c, const GradTo& d_images) {
  T* to = opened<T>(d_images);
  each_patch_number(c, [&](int64_t i, int64_t from) { to[i] += c.rows.as<T>()[from]; });
}

}  // namespace ref

}  // namespace crate
