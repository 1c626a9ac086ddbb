// lanczos: the largest eigenvalues of a symmetric operator on R^n that is known only by its products.
//
//   A q_i = beta_(i-1) q_(i-1) + alpha_i q_i + beta_i q_(i+1)        q_1 .. q_m orthonormal, T = tridiag(beta, alpha,
//   beta) T s = theta s   gives   A (Q s) ~ theta (Q s),   error |beta_m s_m|
//
// Every new vector is made orthogonal to all earlier ones, twice (Parlett, "The symmetric eigenvalue problem", chapter
// 13), so none comes back. The first vector is fixed, every sum has a fixed order: the same operator gives the same
// bits.
#pragma once
#include <cstdint>
#include <functional>

#include "base/dense.h"

namespace crate {

/// Writes A x to y.
using Operator = std::function<void(const double* x, double* y)>;

/// The `count` <= n largest, falling; vectors (count, n) of length 1, their largest entry positive. An error above
/// tolerance times the largest |theta| is only left when all n vectors were used, and then it is rounding.
SymmetricEigen largest_eigen(int64_t n, int64_t count, const Operator& apply, double tolerance = 1e-10);

}  // namespace crate
