// bases: what the weights of an attention half say of its subspaces. U_k (d, p) is the transpose of head k's rows of
// the projection; its columns are scaled to length 1 for the coherence, as in figure 7 of Yu et al. 2023.
//
//   within     mean |u_a'u_b| over pairs of columns of one head          0: an orthogonal basis
//   between    mean |u_a'u_b| over pairs of columns of two heads         0: orthogonal subspaces
//   overlap    |U_k'U_j|_2, largest singular value, a matrix (k, k)       0: orthogonal subspaces
//   cosine     <W, [U_1 .. U_K]> / (|W| |U|), Frobenius; a head: its p columns of W. The theory has W = U, so 1;
//              below 0 the step leads away from the subspaces
//   spectrum   singular values of U_k, falling
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

namespace crate {

struct Bases {
  double within = 0, between = 0;
  std::vector<std::vector<double>> overlap;  // (k, k); the diagonal is |U_k|_2^2 of the scaled columns
  double overlap_max = 0;                    // over two different heads; 0 for one head
  std::optional<double> cosine;              // none when there is no output map to compare
  std::vector<double> cosine_per_head;
  std::vector<std::vector<double>> spectrum;  // a head
  std::vector<int64_t> rank;                  // a head: singular values above 1e-6 of the largest
};

/// u (heads p, d): a head's rows follow each other. w (d, heads p) or null.
Bases measure_bases(const std::vector<double>& u, const std::vector<double>* w, int64_t heads, int64_t dim);

/// exp of the entropy of values / sum(values): how many directions the values are spread over. 0 when all are 0.
double effective_rank(const std::vector<double>& values);

/// Values above `share` of the largest.
int64_t rank_of(const std::vector<double>& values, double share);

}  // namespace crate
