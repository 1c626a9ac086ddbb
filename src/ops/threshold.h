// threshold: the step size eta (1) and the threshold lambda (1, or n: one an atom) that the sparse coding operators
// share, for codes of width n in f32. A step is z = relu(prev + eta c - eta lambda); with g = d_z [z > 0]
//   d_eta = sum of g (c - lambda)      d_lambda_i = -eta sum over rows of g_i (summed over i when there is one lambda).
#pragma once
#include "ops/row_sums.h"

namespace crate {

/// Throws Error unless eta holds one number and lambda 1 or n.
void check_threshold(const char* op, const Tensor& eta, const Tensor& lambda, int64_t n);

/// -eta lambda, one a column: what a step adds before the relu.
class ThresholdShift {
 public:
  ThresholdShift(Device& device, const Tensor& eta, const Tensor& lambda, int64_t n);
  Tensor tensor() const;

 private:
  Scratch data_;
  int64_t n_;
};

/// Gradients from sums over all rows and steps: sums[0 .. n) of g, sums[n] of g c.
struct ThresholdGrad {
  GradTo d_eta, d_lambda;
  bool wanted() const { return d_eta || d_lambda; }
};
void write_threshold(const Tensor& eta, const Tensor& lambda, const RowSums& sums, int64_t n, const ThresholdGrad& to);

// Of the matrices below any may be bf16 (Run::make_operand).

/// Which numbers of a matrix (rows, n) are above zero, a bit each: a word holds a column of 32 rows, bit i % 32 of word
/// (i / 32, j), so that a row is a loop over whole words. i32 (ceil(rows / 32), n).
constexpr int64_t gate_rows = 32;
inline Shape gates_shape(int64_t rows, int64_t n) { return {(rows + gate_rows - 1) / gate_rows, n}; }
/// The gates of rows lo .. hi; lo is a multiple of gate_rows.
Tensor gates_of_rows(const Tensor& gates, int64_t lo, int64_t hi);
void write_gates(const Tensor& z, const Tensor& gates);

/// g = d_z where z > 0, else 0, z being a code or its gates; also adds g to sums[0 .. n) when sums is given.
void mask_rows(const Tensor& d_z, const Tensor& z, const Tensor& g, float* sums);

/// z = pre where pre > 0, else 0.
void relu_rows(const Tensor& pre, const Tensor& z);

/// Sum of a_ij b_ij.
float dot_rows(const Tensor& a, const Tensor& b);

/// to (+)= factor by.
void grow(const Tensor& to, bool add, float factor, const Tensor& by);

/// to = a + factor b.
void combine(const Tensor& a, float factor, const Tensor& b, const Tensor& to);

}  // namespace crate
