// walk: one forward of a subject and one frozen walk from its targets back to the input, with everything that flowed
// and every gradient kept. What flows at a site times its gradient is what the site gives to the target.
#pragma once
#include <string>
#include <vector>

#include "run/run.h"
#include "work/explain/subject.h"
#include "work/explain/units.h"

namespace crate {

/// What is explained in one row of a batch: a score, a difference of two scores, or a unit.
struct Target {
  int64_t position = -1;             ///< of the scores; -1: the last
  int64_t score = -1;                ///< token or class; -1: the highest
  int64_t contrast = -1;             ///< its score is subtracted; -1: none
  std::vector<double> against = {};  ///< shares of all scores: their mean is subtracted (paid.h); empty: none
  bool is_unit = false;              ///< else `unit`, an atom: its value in the code
  Unit unit = {};
};

/// A tensor of the forward with its gradient; `nodes` tells where on the tape it stands.
struct Seen {
  Tensor value, grad;
  std::size_t nodes = 0;
  explicit operator bool() const { return static_cast<bool>(value); }
};

/// Inside a block. coords and pattern have no gradients of their own.
struct BlockSeen {
  Seen z_pre, coords, pattern, heads, z_mid, code, z_post;
};

/// The score, or the difference of scores, that a target names: in row `row` of what Subject::forward gave.
double score_of(const Target& target, const Tensor& scores, int64_t row);

class Walk {
 public:
  /// One target a row of the batch. Unset scores of the targets become the highest.
  Walk(const Subject& subject, std::vector<Target> targets);
  ~Walk();
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  const Subject& subject() const { return subject_; }
  const std::vector<Target>& targets() const { return targets_; }
  /// The target of a row, from the forward alone.
  double value(int64_t row) const { return values_[static_cast<std::size_t>(row)]; }
  /// Softmax of the scores at the target's position, for its score; 0 for a unit.
  double probability(int64_t row) const { return probabilities_[static_cast<std::size_t>(row)]; }
  const BlockSeen& block(int64_t i) const { return blocks_[static_cast<std::size_t>(i)]; }
  int64_t layers() const { return static_cast<int64_t>(blocks_.size()); }
  /// Empty where there is no head.
  const Seen& head_in() const { return head_in_; }
  /// embed.patches of a model of images.
  const Seen& patches() const { return patches_; }
  /// Rows of the stream an input.
  int64_t positions() const { return blocks_.front().z_pre.value.shape[1]; }
  const std::vector<Constant>& constants() const { return run_.constants(); }

 private:
  class Listener;
  void aim(const Tensor& scores);
  void aim_at_unit(int64_t row);
  void aim_at_score(int64_t row, const Tensor& scores);
  void seed(const Tensor& scores);
  void collect();

  const Subject& subject_;
  std::vector<Target> targets_;
  std::vector<double> values_, probabilities_;
  std::vector<BlockSeen> blocks_;
  Seen head_in_, patches_;
  std::unique_ptr<Listener> listener_;
  InterventionTap tap_;
  Run run_;
};

}  // namespace crate
