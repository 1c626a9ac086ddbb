// dense: small symmetric matrices in double, row-major.   A = V' diag(values) V by cyclic Jacobi rotations; the sweeps
// go through the pairs in a fixed order, single-threaded, so the same numbers give the same bits.
#pragma once
#include <cstdint>
#include <vector>

namespace crate {

/// Sum of a_i b_i, in an order that depends on n only.
double dot(const double* a, const double* b, int64_t n);

struct SymmetricEigen {
  std::vector<double> values;   // descending
  std::vector<double> vectors;  // (n, n), one a row, in the order of the values; the largest entry is positive
};

/// Meant for n up to some hundreds: a sweep costs n^3 operations times six, and there are about eight.
SymmetricEigen symmetric_eigen(std::vector<double> a, int64_t n);

/// Of the matrix with `diagonal` (n) and `beside` (n - 1, more are not read) next to it; by implicit QL steps
/// (Wilkinson and Reinsch, 1971), 3 n^3 operations.
SymmetricEigen tridiagonal_eigen(std::vector<double> diagonal, std::vector<double> beside);

}  // namespace crate
