// measurement: what is known of every layer after a pass over some samples (sequences or images): how far its two
// half-steps go the way the objective asks them to.
//
//   maximise  R(Z) - R^c(Z | U) - lambda |Z|_0          the attention half is to lower R^c, the coding half to lower
//                                                       1/2 |v - D z|^2 + lambda |z|_1
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "work/measure/bases.h"

namespace crate {

/// Mean and deviation of values that come one by one (Welford).
class Spread {
 public:
  void add(double value);
  double mean() const { return mean_; }
  /// Unbiased standard deviation; 0 for fewer than two values.
  double deviation() const;
  int64_t count() const { return count_; }
  /// The mean lies more than two of its own standard errors above 0.
  bool clearly_positive() const;

 private:
  int64_t count_ = 0;
  double mean_ = 0, squares_ = 0;
};

/// Coding rates in nats a sample, of the stream at one place of a block.
struct Rates {
  Spread rate;         // R of the stream as it is
  Spread rate_unit;    // of its tokens scaled to length 1
  Spread rate_c;       // R^c of U z
  Spread rate_c_unit;  // R^c of U norm1(z), each token scaled to length 1 in each head: the authors' figure
};

struct LayerMeasure {
  Rates pre, mid, post;  // before the block, after its attention half, after the block; all with this block's U, norm1
  Spread rate_c_step;    // of a sample: mid.rate_c_unit - pre.rate_c_unit; below 0: the step compressed
  Spread nonzero;        // fraction of code entries (twins: hidden units) that are not exactly 0
  // White boxes only: the coding half's objective a token, where the step begins and where it ends.
  std::optional<Spread> objective_before, objective_after, objective_step;
  double objective_fell = 0;  // share of tokens whose objective fell
  Bases bases;
  // A head: eigenvalues of the mean of w w' over all tokens, w of length 1 as in rate_c_unit before the block.
  std::vector<std::vector<double>> coords_spectrum;
  std::vector<int64_t> coords_rank;           // above 1e-6 of the largest
  std::vector<double> coords_effective_rank;  // exp of the entropy
};

struct Measurement {
  std::string family;
  double squared_precision = 0;
  int64_t samples = 0, tokens = 0;  // tokens of all samples, a class token included
  int64_t dim = 0, heads = 0, head_dim = 0;
  double seconds = 0;
  std::vector<LayerMeasure> layers;
};

struct LayerWarning {
  std::string step;  // which half-step works against its objective: "blocks.3: the attention step"
  std::string text;  // a sentence that begins so and says by how much
};
/// Only what exceeds two standard errors of the mean over the samples. White boxes only.
std::vector<LayerWarning> warnings_of(const Measurement& m);

}  // namespace crate
