// simulate: predictions of an atom's activation from the text alone, and how good they are.
//
//   S0  token table:       p0(t) = (sum of activations at t + k mean) / (n(t) + k)
//   S1  n-gram back-off:   p = p0; for the pair, then the triple that end here: p <- (sum + k p) / (n + k)
//   S2  S1 plus a tree of depth 4 over the features of the token, grown on what S1 leaves
// Tables come from all documents not held out; the tree from excerpts of these: the largest activations, active tokens
// drawn by chance, and tokens drawn at random.
//
// Score (Bills et al., "Language models can explain neurons in language models", 2023): Pearson's correlation of
// predicted and real activations over all tokens of some excerpts taken together, of held-out documents here.
// "Top and random": excerpts around the largest activations and as many drawn at random; "random only": the latter.
#pragma once
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "work/atoms/observation.h"

namespace crate {

/// One token as simulators see it, and what the atom did there.
struct Example {
  Ngrams::At ngrams;
  std::span<const int32_t> features;
  float value = 0;
};

/// The excerpts of one atom, as examples; `begin` tells where each starts (and the end).
struct ExampleSet {
  std::vector<Example> tokens;
  std::vector<std::size_t> begin = {0};
  std::size_t excerpts() const { return begin.size() - 1; }
  std::vector<float> values() const;
};

/// The windows that excerpts lie in, described again after the corpus has been read.
class Windows {
 public:
  /// Of all excerpts of all sites and of the sample.
  explicit Windows(Observation& seen);
  void append(const Excerpt& e, ExampleSet& to) const;
  /// Of the sample: activations are a column of the site's sample.
  void append(const SampleExcerpt& e, const float* column, int64_t stride, ExampleSet& to) const;

 private:
  void append(int64_t begin, int64_t length, ExampleSet& to) const;
  int64_t context_;
  std::unordered_map<int64_t, WindowInfo> windows_;
};

/// Pearson's correlation; NaN when either side does not vary.
double correlation(std::span<const float> a, std::span<const float> b);

/// Tables of one atom.
class TableSimulator {
 public:
  TableSimulator(const Observation& seen, const SiteStatistics& site, int64_t atom);
  float mean() const { return mean_; }
  /// Prediction from one row alone, shrunk towards the mean; the mean for -1.
  float of_row(int32_t row) const { return shrunk(row, mean_); }
  float s0(const Example& e) const { return of_row(e.ngrams.one); }
  float s1(const Example& e) const { return s1_from(s0(e), e); }
  float s1_from(float s0, const Example& e) const { return shrunk(e.ngrams.three, shrunk(e.ngrams.two, s0)); }

 private:
  float shrunk(int32_t row, float towards) const;
  const Observation& seen_;
  const SiteStatistics& site_;
  int64_t atom_;
  float mean_;
};

/// A regression tree over features that hold or do not hold.
class Tree {
 public:
  /// On `targets` (one an example); no leaf has fewer than 8 examples.
  Tree(const std::vector<Example>& examples, const std::vector<float>& targets, int64_t features, int depth);
  float predict(const Example& e) const;
  int64_t nodes() const { return static_cast<int64_t>(nodes_.size()); }

 private:
  struct Node {
    int32_t feature = -1;  // -1: a leaf
    int32_t without = -1, with = -1;
    float value = 0;
  };
  int32_t grow(const std::vector<Example>& examples, const std::vector<float>& targets, std::vector<int32_t> members,
               int64_t features, int depth);
  std::vector<Node> nodes_;
};

}  // namespace crate
