// text_task: a causal language model learns to predict the next token. Every sequence of a batch begins at an addressed
// random place of the corpus.
#pragma once
#include "model/language_model.h"
#include "work/data/tokenizer.h"
#include "work/data/tokens.h"
#include "work/train/task.h"

namespace crate {

class TextTask final : public Task {
 public:
  TextTask(Device& device, const Recipe& recipe);

  std::vector<ParameterStore*> stores() override { return {&model_.store()}; }
  int64_t layers() const override { return recipe_.model.layers; }
  void init() override;
  void load(const DirectoryReader& directory) override;
  void put(DirectoryWriter& directory) override;
  const std::string& data() const override { return identity_; }
  const char* unit() const override { return "tokens"; }
  int64_t units_a_step() const override { return recipe_.train.batch * recipe_.model.context; }
  double learn(Run& run, const BatchPart& part, Sums& sums) override;
  std::vector<Metric> metrics(const Sums& sums, double loss_sum, double seconds) override;
  Validation validate() override;
  std::optional<Measurement> measure(int64_t samples) override;
  double probe(int64_t step) override;

 private:
  struct Corpora {
    Tokens train, val;
  };
  static Corpora open(const DataRecipe& data, const Tokenizer& tokenizer);
  /// Rows first_row .. first_row + rows - 1 of a step's batch.
  struct Rows {
    std::vector<int32_t> inputs, targets;
  };
  Rows draw(int64_t step, int64_t rows, int64_t first_row) const;

  Device& device_;
  const Recipe& recipe_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Corpora corpora_;
  LanguageModel model_;
  std::string identity_;  // of the training text
};

/// What tells a corpus from another without reading all of it: its length and a hash of tokens spread over it.
std::string identity_of(const Tokens& corpus);

}  // namespace crate
