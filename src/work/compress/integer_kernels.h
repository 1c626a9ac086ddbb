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
  /// sums[r][i] = sum_k weights[i][k] acts[r][k] for `rows` rows of unsigned bytes (padded to groups of 4) and the rows
  /// i of `blocks` packed blocks.
  void (*product)(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, int64_t act_stride,
                  int64_t rows, int32_t* sums, int64_t sum_stride);
  /// The same for one row, reading only the groups listed: the others hold zeros.
  void (*sparse_product)(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts,
                         const int32_t* listed, int64_t count, int32_t* sums);
  /// dots[j] = q . keys[j], j < n, keys `stride` numbers apart; |q . key| < 2^31 is the caller's care.
  void (*dots)(const int16_t* q, const int16_t* keys, int64_t stride, int64_t n, int64_t p, int32_t* dots);
  /// scores in Q16, base 2 -> weights in Q15, rounded, their largest 32767; scores is overwritten.
  void (*softmax)(int32_t* scores, int64_t n, int16_t* weights);
  /// sums[c] = sum_j weights[j] values[j][c].
  void (*mix)(const int16_t* weights, const int16_t* values, int64_t stride, int64_t n, int64_t p, int32_t* sums);
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
