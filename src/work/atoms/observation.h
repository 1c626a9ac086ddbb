// observation: a model reads a corpus once, and every atom of every layer is observed.
//
// What is read comes in windows: a block of tokens of a text (text_observation.h), or the patches of an image
// (image_observation.h). Before the pass one batch, spread over the corpus, tells each atom's usual size (the
// thresholds of the concept counts), and some runs of tokens are chosen whose activations are all kept: they stand for
// tokens drawn at random. The same corpus, model and options give the same bits, whatever the number of threads.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/model.h"
#include "work/atoms/corpus.h"
#include "work/atoms/features.h"
#include "work/atoms/statistics.h"

namespace crate {

struct ObserveOptions {
  int64_t max_tokens = 2000000;  // of a text
  int64_t batch = 16;
  int64_t memory_mb = 768;  // for the tables of all sites together
  int64_t sample_excerpts = 128;
  std::string inventory = "supersenses";  // of concepts, for texts
  uint64_t seed = 1;
  /// What is observed instead of a layer's codes: as many numbers for each of `rows` tokens; unset: the codes.
  std::function<void(int64_t layer, const float* code, int64_t rows, float* out)> look = {};
  std::function<void(int64_t done, int64_t total)> progress = {};
};

/// What is known of the tokens of one window before a model reads it.
struct WindowInfo {
  int64_t begin = 0, length = 0;  // in the corpus
  std::vector<int32_t> tokens;    // of a text
  std::vector<Ngrams::At> ngrams;
  FeatureList features;  // by row of the feature table
  std::vector<SectionInfo> sections;
};

/// A run of tokens drawn at random; its activations are rows of every site's sample.
struct SampleExcerpt {
  int64_t begin = 0, length = 0, row = 0;
  int32_t document = 0;
  bool held_out() const { return is_held_out(document); }
};

class Observation {
 public:
  Observation(Model& model, const ObserveOptions& options) : model_(model), options_(options) {}
  virtual ~Observation() = default;
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

  /// Reads the corpus.
  void read();

  Model& model() const { return model_; }
  std::vector<std::string> sites() const;
  const SiteStatistics& site(int64_t layer) const { return *sites_[static_cast<std::size_t>(layer)]; }
  const std::vector<SampleExcerpt>& sample() const { return sample_; }
  double seconds() const { return seconds_; }
  double tokens_of(bool held_out) const { return half_tokens_[held_out ? 1 : 0]; }
  /// Mean of 1 / s over the tokens, s the scale of the final norm; 1 without one.
  double mean_inverse_scale() const { return tokens_ > 0 ? inverse_scale_ / tokens_ : 1; }

  /// Tokens of a window (the last may be shorter), of the corpus, and how many documents they make.
  virtual int64_t window_tokens() const = 0;
  virtual int64_t size() const = 0;
  virtual int64_t documents() const = 0;
  virtual WindowInfo window(int64_t number) = 0;

  /// The rows of the n-gram tables, and how often each came in documents not held out.
  const Ngrams& ngrams() const { return *ngrams_; }
  double ngram_count(int64_t row) const { return ngram_counts_[static_cast<std::size_t>(row)]; }
  virtual std::string ngram_text(int64_t row) const = 0;
  /// Features that have a row, and how often each held.
  virtual int64_t features() const = 0;
  virtual std::string feature_name(int64_t row) const = 0;
  /// Does the feature come from the inventory (the classes of images)?
  virtual bool is_concept(int64_t row) const = 0;
  double feature_count(int64_t row, bool held_out) const {
    return feature_counts_[held_out ? 1 : 0][static_cast<std::size_t>(row)];
  }

  /// What the head tells apart: tokens or classes. Bytes of token texts are as they are.
  virtual int64_t outputs() const = 0;
  virtual std::string output_text(int64_t output) const = 0;
  /// What an index says of the corpus: "corpus", "kind", ...
  virtual std::map<std::string, std::string> about() const = 0;
  virtual bool is_text() const { return true; }
  /// Of a document; empty when it has none.
  virtual std::string title(int64_t) const { return {}; }
  /// Tokens begin .. end - 1 of a text; empty for images.
  virtual std::vector<int32_t> read_tokens(int64_t begin, int64_t end) const = 0;

 protected:
  /// To be called once window(), size() and features() work.
  void prepare(std::unique_ptr<Ngrams> ngrams);
  int64_t windows() const { return (size() + window_tokens() - 1) / window_tokens(); }
  /// How many rows n-gram tables may have.
  int64_t ngram_rows() const;
  /// Runs the model up to its head over windows of one length.
  virtual void forward(const std::vector<int64_t>& windows, Tap& tap) = 0;

  Model& model_;
  ObserveOptions options_;

 private:
  class Listener;
  void choose_sample();
  void make_sites();
  std::vector<std::vector<float>> thresholds(int levels);
  void read_batch(int64_t first, int64_t last);
  void add_window(const WindowInfo& window, int64_t number, BatchInfo& to);
  int64_t atoms() const { return model_.config().n_atoms() * model_.config().layers; }

  std::unique_ptr<Ngrams> ngrams_;
  std::vector<std::unique_ptr<SiteStatistics>> sites_;
  std::vector<SampleExcerpt> sample_;
  std::vector<int32_t> sample_of_;  // which excerpt of the sample a window holds; -1: none
  std::vector<double> ngram_counts_;
  std::array<std::vector<double>, 2> feature_counts_;
  std::array<double, 2> half_tokens_{};
  double inverse_scale_ = 0, tokens_ = 0, seconds_ = 0;
};

}  // namespace crate
