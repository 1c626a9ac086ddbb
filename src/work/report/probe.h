// probe: what a few units tell about a label, in the manner of sparse probing (Gurnee et al., 2023): the k units whose
// means differ most between the classes on the training half, relative to their spread, then a logistic regression on
// these alone, judged on the held-out half.
//
//   pick      |mean(x_j | y = 1) - mean(x_j | y = 0)| / sd(x_j), the k largest
//   fit       min over w, b of sum_i c_i log(1 + exp(-s_i (w . x_i + b))) + |w|^2 / 2 on standardised x, by Newton's
//             method; c_i = n / (2 n_y) gives both classes the same weight
//   judged    w . x + b > 0 on rows that took no part
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace crate {

/// Rows of numbers with a label each.
struct LabelledRows {
  int64_t width = 0;
  std::vector<float> x;         // rows x width
  std::vector<uint8_t> labels;  // 0 or 1
  int64_t rows() const { return static_cast<int64_t>(labels.size()); }
};

/// Columns in the order of the pick, the best first; columns that never change are left out.
std::vector<int32_t> pick_columns(const LabelledRows& train, int64_t k);

/// A logistic regression on a few columns.
struct LogisticFit {
  std::vector<int32_t> columns;
  std::vector<double> weights;  // on the columns as they are
  double bias = 0;
  double score(const float* row) const;
};
LogisticFit fit_logistic(const LabelledRows& train, std::vector<int32_t> columns);

/// For each k (ascending) and each test row, 1 when a fit on the k best columns of `train` tells its label. With as
/// many test rows of either class the mean is the accuracy whose chance is 1/2. Throws Error when a class is missing.
std::vector<std::vector<uint8_t>> sparse_probe(const LabelledRows& train, const LabelledRows& test,
                                               std::span<const int64_t> ks);

}  // namespace crate
