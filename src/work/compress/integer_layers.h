// integer_layers: what the integer forward is made of: rows of activations rounded to bytes, products, norms.
// Activations are int32 in Q16 and stay within 2^30; a row that enters a product becomes bytes times one step t:
//   x_k ~ a_k t,  a_k in -127..127 (stored plus the kernels' zero) or 0..255 for codes, which are never negative
//   y_i = scale_i t sum_k q_ik a_k
#pragma once
#include <cstdint>
#include <vector>

#include "work/compress/aligned.h"
#include "work/compress/integer_kernels.h"
#include "work/compress/quantized.h"

namespace crate {

/// A positive number as mantissa * 2^exponent, mantissa in [2^14, 2^15].
struct Step {
  int32_t mantissa = 1 << 14;
  int exponent = 0;
};

/// Rows of activations as bytes.
class ByteRows {
 public:
  /// Rounds `rows` rows of k numbers; `codes`: none is negative.
  void set(const IntegerKernels& kernels, const int32_t* x, int64_t rows, int64_t k, bool codes);
  const uint8_t* row(int64_t r) const { return bytes_.data() + r * stride_; }
  int64_t rows() const { return rows_; }
  int64_t stride() const { return stride_; }
  bool codes() const { return codes_; }
  const Step& step(int64_t r) const { return steps_[static_cast<std::size_t>(r)]; }

 private:
  AlignedVector<uint8_t> bytes_;
  std::vector<Step> steps_;
  int64_t rows_ = 0, stride_ = 0;
  bool codes_ = false;
};

/// What a forward writes in between; it lives with the caller, so that no byte asks for memory.
struct IntegerScratch {
  ByteRows bytes;
  AlignedVector<int32_t> sums, listed;                 // of a product
  AlignedVector<int32_t> stream, x, coords, heads, y;  // of a layer
  AlignedVector<int32_t> codes, copy, match, rest;     // of its second half
  AlignedVector<int32_t> traced, queries, keys;        // of a token's attention
  AlignedVector<int16_t> shorts;
};
/// At least n numbers of v.
inline int32_t* room(AlignedVector<int32_t>& v, int64_t n) {
  if (v.size() < static_cast<std::size_t>(n)) v.resize(static_cast<std::size_t>(n));
  return v.data();
}

/// y = W x with W from a quantized matrix.
class IntegerProduct {
 public:
  IntegerProduct() = default;
  /// The matrix as it stands: outputs are its rows.
  explicit IntegerProduct(const QuantizedMatrix& w);
  /// Its transpose: outputs are its columns. The scales of its rows belong to the inputs: weigh() puts them there.
  static IntegerProduct transposed(const QuantizedMatrix& w);

  /// Of a transpose: x_i <- x_i scale_i / (the largest scale), in place.
  void weigh(const IntegerKernels& kernels, int32_t* x) const;

  int64_t outputs() const { return outputs_; }
  int64_t inputs() const { return inputs_; }
  /// y (rows, outputs) in Q16, of the rows in scratch.bytes.
  void apply(const IntegerKernels& kernels, IntegerScratch& scratch, int32_t* y) const;

 private:
  void multiply(const IntegerKernels& kernels, const ByteRows& x, AlignedVector<int32_t>& listed, int32_t* sums) const;
  void pack(const QuantizedMatrix& w, bool transpose);
  void set_scales(const std::vector<float>& scales);

  int64_t outputs_ = 0, inputs_ = 0, blocks_ = 0, groups_ = 0;
  AlignedVector<int8_t> packed_;
  AlignedVector<int32_t> sums_;    // of each row of weights, by which the bytes' zero counts
  AlignedVector<int32_t> scales_;  // scale_i 2^exponent_, below 2^20
  int exponent_ = 0;
  std::vector<int32_t> weights_;  // of the inputs of a transpose, Q15
};

/// Layer norm with an optional shift.
class IntegerNorm {
 public:
  IntegerNorm() = default;
  IntegerNorm(const QuantizedModel& model, const std::string& name);
  /// Rows of d numbers.
  void apply(const IntegerKernels& kernels, const int32_t* x, int64_t rows, int32_t* y) const;

 private:
  std::vector<int32_t> scale_;  // Q14
  std::vector<int32_t> shift_;  // Q16, or none
  double eps_ = 0;
};

/// What follows a norm's division: times scale (Q14), plus shift (Q16); either may be null.
struct Affine {
  const int32_t *scale = nullptr, *shift = nullptr;
};
/// x / sqrt(mean(x^2) + eps) in Q16 for `rows` rows of n numbers; with `centred` the mean is subtracted first.
void normalise(const IntegerKernels& kernels, const int32_t* x, int64_t rows, int64_t n, double eps, bool centred,
               Affine after, int32_t* y);

/// Numbers as integers with `fraction` fractional bits.
std::vector<int32_t> fixed_of(const std::vector<float>& values, int fraction);

}  // namespace crate
