// subject: what is explained: a model on one batch of inputs. Explanations need no more of it than this, so the same
// code serves every modality.
#pragma once
#include <memory>
#include <vector>

#include "model/language_model.h"
#include "work/explain/units.h"

namespace crate {

/// A row that the input puts into the stream of layer 0.
struct Source {
  UnitKind kind;  // token or position
  int64_t position, index;
  Tensor embedding;  // (1, d)
};

class Subject {
 public:
  virtual ~Subject() = default;
  virtual Device& device() const = 0;
  virtual const ModelConfig& config() const = 0;
  virtual ParameterStore& store() const = 0;
  virtual int64_t batch() const = 0;
  virtual int64_t positions() const = 0;
  /// One row of the batch, `count` times.
  virtual std::unique_ptr<Subject> repeated(int64_t row, int64_t count) const = 0;
  /// What the input puts into the stream, in one row of the batch; together embed.out.
  virtual std::vector<Source> sources(int64_t row) const = 0;
  /// The scores that a target names: (b, n, V), or (b, classes).
  virtual Tensor forward(Run& run) const = 0;
  /// The second half of block i on any rows of its stream (1, rows, d), each row for itself.
  virtual Tensor second_half(Run& run, int64_t i, const Tensor& rows) const = 0;
};

/// A language model, which must outlive it, on tokens (b, n).
class LanguageSubject final : public Subject {
 public:
  LanguageSubject(LanguageModel& model, std::vector<int32_t> tokens, int64_t batch = 1);
  Device& device() const override { return model_.device(); }
  const ModelConfig& config() const override { return model_.config(); }
  ParameterStore& store() const override { return model_.store(); }
  int64_t batch() const override { return batch_; }
  int64_t positions() const override { return static_cast<int64_t>(tokens_.size()) / batch_; }
  std::unique_ptr<Subject> repeated(int64_t row, int64_t count) const override;
  std::vector<Source> sources(int64_t row) const override;
  Tensor forward(Run& run) const override { return model_.logits(run, tensor()); }
  Tensor second_half(Run& run, int64_t i, const Tensor& rows) const override {
    return model_.second_half(run, i, rows);
  }

 private:
  Tensor tensor() const;
  LanguageModel& model_;
  std::vector<int32_t> tokens_;
  int64_t batch_;
};

}  // namespace crate
