// rate: coding rates of token matrices. Rows of Z (n, d) are tokens:
//
//   R(Z)         = 1/2 logdet(I + d/(n e) Z'Z)                  the nats it takes to code Z to a squared precision e
//   R^c(Z | U)   = sum_k 1/2 logdet(I_p + p/(n e) W_k'W_k)      W_k (n, p) = coordinates of the tokens in subspace k
//
// `unit` scales every row of Z, or every row of each W_k, to length 1 first: the rate no longer depends on scale. With
// unit rows R^c of mssa.coords is what the authors' script vis_utils/coding_rate.py plots; they take the determinant of
// the n x n matrix, which has the same value, and their `eps` = 0.01 stands where e stands. A row of zeros stays 0
// (there it gives NaN).
#pragma once
#include <cstdint>
#include <vector>

#include "ops/coding_rate.h"

namespace crate {

/// R(Z).
double rate_of(const RowsOf<double>& z, double squared_precision, bool unit);

/// R^c: `coords` holds k heads side by side, head h in columns h p .. h p + p - 1.
double compressed_rate_of(const RowsOf<double>& coords, int64_t heads, double squared_precision, bool unit);

/// Adds W_h'W_h / n of unit rows to the h-th matrix (p, p) of `moments`.
void add_moments(const RowsOf<double>& coords, int64_t heads, std::vector<double>& moments);

}  // namespace crate
