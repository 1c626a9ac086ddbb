// gemm: the matrix product, the one place where most of the time goes.
//
//   c (m,n) = act( alpha · op(a) (m,k) · op(b) (k,n)  [+ c]  [+ bias (n)]  [+ plus (m,n)] )
//
// op(x) is x or its transpose; tensors are read through their matrix view (last dimension = columns, the rest rows).
// ref: plain loops in f64 or c128, in f64 blocked with the same bits. cpu: oneDNN in f32, or on bf16 copies of a and b
// with f32 sums when the device says so; the result stays f32. There a, b, c and plus may be bf16 where the device
// keeps operands so (Device::operand): a and b are read as they are, and c is the sums, all done, rounded once. A
// weight (an operand that changes only once a step) is packed once into the layout the kernel likes and the copy is
// kept until weights_changed().
//
// Threads: called outside a parallel region, gemm splits the work itself; called inside one, it runs on the calling
// thread alone. So an operator may walk its rows in cache-sized chunks, one thread a chunk, all its products on chip.
#pragma once
#include <memory>

#include "tensor/device.h"
#include "tensor/tensor.h"

namespace crate {

struct Gemm {
  Tensor a, b, c;
  bool trans_a = false, trans_b = false;
  double alpha = 1.0;
  bool add = false;  // add to what c holds, which is then not bf16; else overwrite
  Tensor bias = {};  // (n) or none
  Tensor plus = {};  // (m, n) or none; may be c's own storage only when add is meant
  bool relu = false;
  bool b_is_weight = false;  // b is a whole weight matrix: use and keep its packed copy
};

/// Throws Error when the shapes or dtypes do not fit.
void gemm(Device& device, const Gemm& g);

/// Declares that weights have new values: packed copies are made afresh at their next use.
void weights_changed(Device& device);

/// Bytes of weights that products of a few rows (few_rows.h) have read so far on this device: rows that meet nothing
/// but zeros are not read.
int64_t weight_bytes_read(Device& device);

/// Multiply-adds counted as two operations: 2 m n k.
double gemm_flops(int64_t m, int64_t n, int64_t k);

}  // namespace crate
