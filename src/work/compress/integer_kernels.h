// integer_kernels: the products and the attention of the codec in small integers, one table an instruction set. All
// tables give the same numbers, bit for bit: integer sums do not depend on their order.
//
// A weight matrix (n, k) of int8 is packed in blocks of 16 rows and groups of 4 columns, [n/16][k/4][16][4], n and k
// padded with zeros: one step of a product reads 64 bytes, 4 columns of 16 rows, and needs no sum across lanes.
#pragma once
#include <cstdint>
#include <string>

namespace crate {

inline constexpr int64_t pack_rows = 16, pack_columns = 4;

struct IntegerKernels {
  const char* name;
  /// Bytes of a dense row are numbers of -127 .. 127 plus this: 0 where the machine can multiply signed bytes, else
  /// 128.
  int32_t zero;
  /// sums[r][i] = sum_k weights[i][k] byte[r][k] for `rows` dense rows (padded to groups of 4) and the rows i of
  /// `blocks` packed blocks; weights within -127 .. 127.
  void (*product)(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, int64_t act_stride,
                  int64_t rows, int32_t* sums, int64_t sum_stride);
  /// sums[i] = sum_k weights[i][k] code[k] for one row of 0 .. 255, reading only the groups listed: the others hold
  /// zeros.
  void (*sparse_product)(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* code,
                         const int32_t* listed, int64_t count, int32_t* sums);
  /// dots[j] = q . key j for the keys of `blocks` blocks of 16, [block][pair of numbers][16 keys][2]; q as `pairs`
  /// pairs. |q . key| < 2^31 is the caller's care.
  void (*dots)(const int16_t* q, const int16_t* keys, int64_t blocks, int64_t pairs, int32_t* dots);
  /// weights ~ 2^(dots 2^-fraction) as 16-bit numbers, whose sum, at most 2^16 and above 2^14, is returned; dots, below
  /// 2^30, may be overwritten, and weights up to a multiple of 32. 1 <= fraction <= 26, n <= 4096.
  int32_t (*softmax)(int32_t* dots, int64_t n, int fraction, int16_t* weights);
  /// sums[c] = sum_j weights[j] values[j][c] for pairs of values, [pair of values][p numbers][2].
  void (*mix)(const int16_t* weights, const int16_t* values, int64_t pairs, int64_t p, int32_t* sums);

  int64_t (*sum)(const int32_t* x, int64_t n);
  /// The largest |x - mean|.
  int64_t (*widest)(const int32_t* x, int64_t n, int32_t mean);
  /// sum of ((x - mean) >> down)^2.
  int64_t (*squares)(const int32_t* x, int64_t n, int32_t mean, int down);
  /// y = ((x - mean) >> down) reciprocal 2^-18, rounded; then, unless null, times scale 2^-14, rounded, plus shift.
  void (*normed)(const int32_t* x, int64_t n, int32_t mean, int down, int64_t reciprocal, const int32_t* scale,
                 const int32_t* shift, int32_t* y);
  /// to = x reciprocal 2^-down, rounded, held within low .. high, plus offset; 1 <= down <= 62.
  void (*to_bytes)(const int32_t* x, int64_t n, int64_t reciprocal, int down, int low, int high, int offset,
                   uint8_t* to);
  /// y = (sums - zero ones) scales mantissa 2^-down, rounded; 1 <= down <= 62.
  void (*rescale)(const int32_t* sums, const int32_t* ones, int32_t zero, const int32_t* scales, int32_t mantissa,
                  int down, int64_t n, int32_t* y);
  /// z = max(0, z + eta match 2^-24, rounded, - bar).
  void (*proximal)(const int32_t* match, const int32_t* bar, int64_t eta, int64_t n, int32_t* z);
  /// x = x factors 2^-15, rounded.
  void (*weigh)(const int32_t* factors, int64_t n, int32_t* x);
  /// Rotary: in each of `heads` rows of 2 half, pairs (x_a, x_(a + half)) turned by cosines and sines in Q14, `stride`
  /// numbers from those of the row before.
  void (*turn)(const int32_t* turns, int64_t stride, int64_t heads, int64_t half, int32_t* x);
  /// to = x 2^-down, rounded, held within 16 bits; 0 <= down <= 30.
  void (*to_shorts)(const int32_t* x, int64_t n, int down, int16_t* to);
  /// out = (out - a own) 2^-down, rounded; a = out . own / |own|^2 when `exclusive`, else 0. 1 <= down <= 30.
  void (*exclude)(const int16_t* own, int64_t p, bool exclusive, int down, int32_t* out);
  /// z = [z +] (y + bias) gamma 2^-24; bias and gamma may be null.
  void (*add)(const int32_t* y, const int32_t* bias, const int32_t* gamma, bool residual, int64_t n, int32_t* z);
  /// x = x factor 2^-down, rounded; 1 <= down <= 62.
  void (*multiply)(int32_t factor, int down, int64_t n, int32_t* x);
  /// 2^22 2^-(top - logit) + 1 for 256 logits in Q16.
  void (*chances)(const int32_t* logits, uint32_t* weights);
};

/// The best table of this machine, or the one that the environment variable CRATE_ISA names (baseline, avx2, vnni).
/// Throws Error when that one is unknown or cannot run here.
const IntegerKernels& integer_kernels();
/// By name; throws Error likewise.
const IntegerKernels& integer_kernels(const std::string& name);

extern const IntegerKernels integer_baseline;
#if defined(__x86_64__)
extern const IntegerKernels integer_avx2;
extern const IntegerKernels integer_vnni;
#endif

}  // namespace crate
