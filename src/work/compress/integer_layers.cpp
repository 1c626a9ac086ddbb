#include "work/compress/integer_layers.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "work/compress/fixed.h"

namespace crate {
namespace {

using fixed::clamp;

// The smallest mantissa * 2^exponent that is not below top / levels.
Step step_for(int64_t top, int levels) {
  if (top == 0) return {};
  // top * 2^up / levels has at least 15 bits.
  const int up = 24 - fixed::bit_length(static_cast<uint64_t>(top));
  const int64_t scaled = up >= 0 ? top << up : top >> -up;
  int64_t mantissa = (scaled + levels) / levels;
  int exponent = -up;
  while (mantissa > (1 << 15)) {
    mantissa = (mantissa + 1) >> 1;
    ++exponent;
  }
  return {static_cast<int32_t>(mantissa), exponent};
}

// floor(log2(x)) + 1 for x > 0.
int exponent_of(double x) {
  int e = 0;
  std::frexp(x, &e);
  return e;
}

}  // namespace

void ByteRows::set(const IntegerKernels& kernels, const int32_t* x, int64_t rows, int64_t k, bool codes) {
  rows_ = rows;
  codes_ = codes;
  stride_ = (k + pack_columns - 1) / pack_columns * pack_columns;
  bytes_.resize(static_cast<std::size_t>(rows * stride_));
  steps_.resize(static_cast<std::size_t>(rows));
  const int levels = codes ? 255 : 127, offset = codes ? 0 : kernels.zero;
  for (int64_t r = 0; r < rows; ++r, x += k) {
    const Step step = step_for(kernels.widest(x, k, 0), levels);
    steps_[static_cast<std::size_t>(r)] = step;
    const int64_t reciprocal = (int64_t{1} << 45) / step.mantissa;
    uint8_t* to = bytes_.data() + r * stride_;
    kernels.to_bytes(x, k, reciprocal, 45 + step.exponent, codes ? 0 : -levels, levels, offset, to);
    std::fill(to + k, to + stride_, static_cast<uint8_t>(offset));
  }
}

IntegerProduct::IntegerProduct(const QuantizedMatrix& w) : outputs_(w.rows), inputs_(w.cols) {
  pack(w, false);
  set_scales(w.scales);
}

IntegerProduct IntegerProduct::transposed(const QuantizedMatrix& w) {
  IntegerProduct p;
  p.outputs_ = w.cols;
  p.inputs_ = w.rows;
  p.pack(w, true);
  const float largest = *std::max_element(w.scales.begin(), w.scales.end());
  p.set_scales(std::vector<float>(static_cast<std::size_t>(w.cols), largest));
  for (const float s : w.scales)
    p.weights_.push_back(largest > 0 ? static_cast<int32_t>(std::lround(s / largest * 32768.0F)) : 0);
  return p;
}

void IntegerProduct::pack(const QuantizedMatrix& w, bool transpose) {
  require(inputs_ <= 4096, "[codec] a product over {} inputs may overflow 32 bits; at most 4096", inputs_);
  blocks_ = (outputs_ + pack_rows - 1) / pack_rows;
  groups_ = (inputs_ + pack_columns - 1) / pack_columns;
  packed_.assign(static_cast<std::size_t>(blocks_ * groups_ * pack_rows * pack_columns), 0);
  sums_.assign(static_cast<std::size_t>(outputs_), 0);
  for (int64_t i = 0; i < outputs_; ++i) {
    for (int64_t k = 0; k < inputs_; ++k) {
      const int8_t q = w.values[static_cast<std::size_t>(transpose ? k * w.cols + i : i * w.cols + k)];
      const int64_t group = (i / pack_rows) * groups_ + k / pack_columns;
      packed_[static_cast<std::size_t>((group * pack_rows + i % pack_rows) * pack_columns + k % pack_columns)] = q;
      sums_[static_cast<std::size_t>(i)] += q;
    }
  }
}

void IntegerProduct::set_scales(const std::vector<float>& scales) {
  const double largest = *std::max_element(scales.begin(), scales.end());
  exponent_ = largest > 0 ? 20 - exponent_of(largest) : 0;
  for (const float s : scales)
    scales_.push_back(
        std::min(static_cast<int32_t>(std::lround(std::ldexp(static_cast<double>(s), exponent_))), (1 << 20) - 1));
}

void IntegerProduct::weigh(const IntegerKernels& kernels, int32_t* x) const {
  kernels.weigh(weights_.data(), static_cast<int64_t>(weights_.size()), x);
}

// Most of a code is zero, so its rows are walked one by one: four rows at once read every group but save no product.
void IntegerProduct::multiply(const IntegerKernels& kernels, const ByteRows& x, AlignedVector<int32_t>& listed,
                              int32_t* sums) const {
  const int64_t padded = blocks_ * pack_rows;
  if (!x.codes())
    return kernels.product(packed_.data(), blocks_, groups_, x.row(0), x.stride(), x.rows(), sums, padded);
  int32_t* list = room(listed, groups_);
  for (int64_t r = 0; r < x.rows(); ++r) {
    int64_t count = 0;
    for (int64_t g = 0; g < groups_; ++g) {
      int32_t four;
      std::memcpy(&four, x.row(r) + g * pack_columns, sizeof four);
      list[count] = static_cast<int32_t>(g);
      count += four != 0 ? 1 : 0;
    }
    kernels.sparse_product(packed_.data(), blocks_, groups_, x.row(r), list, count, sums + r * padded);
  }
}

void IntegerProduct::apply(const IntegerKernels& kernels, IntegerScratch& scratch, int32_t* y) const {
  const ByteRows& x = scratch.bytes;
  const int64_t padded = blocks_ * pack_rows, rows = x.rows();
  const int32_t* sums = room(scratch.sums, rows * padded);
  multiply(kernels, x, scratch.listed, scratch.sums.data());
  const int32_t zero = x.codes() ? 0 : kernels.zero;
  for (int64_t r = 0; r < rows; ++r) {
    const Step& step = x.step(r);
    // Scales so large that nothing is left to shift away do not occur in models that were trained.
    const int down = std::max(1, exponent_ - step.exponent);
    kernels.rescale(sums + r * padded, sums_.data(), zero, scales_.data(), step.mantissa, down, outputs_,
                    y + r * outputs_);
  }
}

// The steps of several rows lie side by side, so that their roots and divisions need not wait for each other.
void normalise(const IntegerKernels& kernels, const int32_t* x, int64_t rows, int64_t n, double eps, bool centred,
               Affine after, int32_t* y) {
  constexpr int64_t at_once = 8;
  for (; rows > at_once; rows -= at_once, x += at_once * n, y += at_once * n)
    normalise(kernels, x, at_once, n, eps, centred, after, y);
  int32_t middle[at_once];
  int down[at_once];
  uint64_t variance[at_once];
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t sum = centred ? kernels.sum(x + r * n, n) : 0;
    middle[r] = static_cast<int32_t>((sum >= 0 ? sum + n / 2 : sum - n / 2) / n);
    // Centred numbers of at most 20 bits: their squares and the sum of them fit 64.
    const auto widest = static_cast<uint64_t>(kernels.widest(x + r * n, n, middle[r]));
    down[r] = std::max(0, fixed::bit_length(widest) - 20);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const auto small = static_cast<int64_t>(eps * static_cast<double>(int64_t{1} << (32 - 2 * down[r])));
    variance[r] = static_cast<uint64_t>(kernels.squares(x + r * n, n, middle[r], down[r]) / n + small);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t root = std::max<int64_t>(1, fixed::isqrt(variance[r] << 22));  // sqrt(variance) 2^11
    const int64_t reciprocal = (int64_t{1} << 45) / root;                        // 2^34 / sqrt(variance)
    kernels.normed(x + r * n, n, middle[r], down[r], reciprocal, after.scale, after.shift, y + r * n);
  }
}

std::vector<int32_t> fixed_of(const std::vector<float>& values, int fraction) {
  std::vector<int32_t> out;
  for (const float v : values) out.push_back(clamp(std::llround(std::ldexp(static_cast<double>(v), fraction))));
  return out;
}

IntegerNorm::IntegerNorm(const QuantizedModel& model, const std::string& name)
    : scale_(fixed_of(model.vector(name + ".scale"), 14)), eps_(model.config.norm_eps) {
  if (model.has(name + ".shift")) shift_ = fixed_of(model.vector(name + ".shift"), 16);
}

void IntegerNorm::apply(const IntegerKernels& kernels, const int32_t* x, int64_t rows, int32_t* y) const {
  const Affine after{scale_.data(), shift_.empty() ? nullptr : shift_.data()};
  normalise(kernels, x, rows, static_cast<int64_t>(scale_.size()), eps_, true, after, y);
}

}  // namespace crate
