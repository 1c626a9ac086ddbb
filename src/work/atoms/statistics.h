// statistics: what is kept of the atoms of one site while a model reads a corpus; nothing grows with the corpus.
//
// Of each atom: moments and extremes; a histogram in quarter octaves; over the documents not held out, the sum of its
// activations by n-gram row; by feature and threshold, how often it was above it while the feature held, for both
// halves; the excerpts around its largest activations, one a document; and excerpts around active tokens drawn by
// chance (the smallest of addressed random keys). Of some excerpts chosen beforehand, every activation.
//
// Atoms go in blocks, one thread a block, tokens in the order of the corpus: results do not depend on threads.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "tensor/tensor.h"
#include "work/atoms/features.h"

namespace crate {

constexpr int64_t excerpt_tokens = 64, top_excerpts = 12, active_excerpts = 16;

/// Activations of one atom around one token, within its document and the window the model saw.
struct Excerpt {
  int64_t begin = 0;          // of its first token in the corpus
  int32_t document = -1;      // -1: empty
  uint32_t key = UINT32_MAX;  // of excerpts drawn by chance
  float value = 0;            // at `peak`
  uint8_t length = 0, peak = 0;
  std::array<float, excerpt_tokens> values{};
};

struct TokenInfo {
  std::array<int32_t, 3> rows = {-1, -1, -1};  // n-grams
  int32_t sample = -1;                         // row of the sample, when it belongs to it
  uint32_t hash = 0;                           // random, by its place in the corpus
};

/// Consecutive rows of a batch that belong to one document.
struct SectionInfo {
  int64_t first = 0, last = 0;  // rows, last excluded
  int64_t begin = 0;            // corpus position of the first
  int32_t document = 0;
  bool held_out = false;
};

struct BatchInfo {
  std::vector<TokenInfo> tokens;
  std::vector<SectionInfo> sections;
  FeatureList features;  // numbers are rows of the feature table
};

class SiteStatistics {
 public:
  static constexpr int64_t block = 128, bins = 96;
  static constexpr int first_octave = -12, bins_per_octave = 4;

  struct Sizes {
    int64_t atoms = 0, ngrams = 0, features = 0, sample = 0;
    int levels = 1;
  };
  /// `thresholds`: levels x atoms; the first level is 0.
  SiteStatistics(const Sizes& sizes, std::vector<float> thresholds);

  void take(const float* code, const BatchInfo& info);

  const Sizes& sizes() const { return sizes_; }
  float threshold(int level, int64_t atom) const {
    return thresholds_[static_cast<std::size_t>(level * sizes_.atoms + atom)];
  }

  struct Moments {
    double tokens = 0, positive = 0, sum = 0, square = 0, cube = 0, fourth = 0;
    float least = 0, most = 0;
  };
  Moments moments(int64_t atom) const;
  uint32_t in_bin(int64_t atom, int64_t bin) const { return histogram_[place(atom, bins, bin)]; }
  /// Sum of activations over the tokens of an n-gram row, documents not held out.
  float ngram_sum(int64_t atom, int64_t row) const { return ngram_[place(atom, sizes_.ngrams, row)]; }
  double train_sum(int64_t atom) const { return train_sum_[static_cast<std::size_t>(atom)]; }
  /// Tokens at which the feature held and the atom was above the level; row `features` counts every token.
  uint32_t joint(int64_t atom, bool held_out, int64_t feature, int level) const {
    return joint_[held_out ? 1 : 0]
                 [place(atom, (sizes_.features + 1) * sizes_.levels, feature * sizes_.levels + level)];
  }
  const Excerpt& top(int64_t atom, bool held_out, int64_t k) const { return top_[at(atom, held_out, k, top_excerpts)]; }
  const Excerpt& active(int64_t atom, bool held_out, int64_t k) const {
    return active_[at(atom, held_out, k, active_excerpts)];
  }
  /// (sample rows, atoms).
  const std::vector<float>& sample() const { return sample_; }
  /// Excerpts by size, or by chance in the order of their keys.
  void sort_excerpts();

 private:
  struct Best;
  class JointBytes;
  static std::size_t at(int64_t atom, bool held_out, int64_t k, int64_t each) {
    return static_cast<std::size_t>((atom * 2 + (held_out ? 1 : 0)) * each + k);
  }
  static std::size_t place(int64_t atom, int64_t rows, int64_t row) {
    return static_cast<std::size_t>((atom / block * rows + row) * block + atom % block);
  }
  void take_block(int64_t b, const float* code, const BatchInfo& info);
  void take_active(int64_t first, int64_t width, const float* x, int64_t row, const TokenInfo& token, Best& best);
  void end_section(int64_t first, int64_t width, const float* code, const SectionInfo& s, Best& best);
  void keep_top(std::size_t half, const Excerpt& e);
  void keep_active(std::size_t half, const Excerpt& e);
  Excerpt cut(const float* code, int64_t atom, const SectionInfo& s, int64_t row) const;
  void add_moments(int64_t first, int64_t width, const float* code, int64_t lo, int64_t hi, bool held_out);

  Sizes sizes_;
  std::vector<float> thresholds_;
  double tokens_ = 0;
  std::vector<double> sums_;  // 4 x atoms, then train_sum_
  std::vector<double> train_sum_;
  std::vector<float> least_, most_;
  std::vector<uint32_t> positive_, histogram_;
  std::vector<float> ngram_, sample_;
  std::array<std::vector<uint32_t>, 2> joint_;
  std::vector<Excerpt> top_, active_;  // by atom, half, place
  std::vector<float> least_top_;       // of the tops kept, by atom and half
  std::vector<uint32_t> largest_key_;  // of the others
};

}  // namespace crate
