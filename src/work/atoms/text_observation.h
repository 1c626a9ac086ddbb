// text_observation: a language model reads a text in the windows of evaluation, disjoint blocks of its context.
#pragma once
#include "model/language_model.h"
#include "work/atoms/observation.h"

namespace crate {

class TextObservation final : public Observation {
 public:
  /// Throws Error when the text is empty or belongs to another tokenizer.
  TextObservation(LanguageModel& model, const Tokenizer& tokenizer, const Tokens& text, const ObserveOptions& options);

  const AtomCorpus& corpus() const { return corpus_; }

  int64_t window_tokens() const override { return model_.config().context; }
  int64_t size() const override { return corpus_.size(); }
  int64_t documents() const override { return corpus_.documents(); }
  WindowInfo window(int64_t number) override;
  std::string ngram_text(int64_t row) const override;
  int64_t features() const override { return static_cast<int64_t>(kept_.size()); }
  std::string feature_name(int64_t row) const override { return features_.name(kept_[static_cast<std::size_t>(row)]); }
  bool is_concept(int64_t row) const override { return features_.is_concept(kept_[static_cast<std::size_t>(row)]); }
  int64_t outputs() const override { return tokenizer_.vocab_size(); }
  std::string output_text(int64_t output) const override {
    return std::string(tokenizer_.bytes_of(static_cast<int32_t>(output)));
  }
  std::map<std::string, std::string> about() const override;
  std::vector<int32_t> read_tokens(int64_t begin, int64_t end) const override { return corpus_.read(begin, end); }

 protected:
  void forward(const std::vector<int64_t>& windows, Tap& tap) override;

 private:
  void choose_features();
  int32_t row_of(int32_t feature) const;

  LanguageModel& language_model_;
  const Tokenizer& tokenizer_;
  AtomCorpus corpus_;
  Features features_;
  std::vector<int32_t> kept_, row_of_;  // features with a row; row of a feature, -1 without
  const Ngrams* known_ngrams_ = nullptr;
};

}  // namespace crate
