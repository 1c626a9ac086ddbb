// subject: what is explained: a model on one batch of inputs, with or without changes of its atoms. Explanations need
// no more of it than this, so the same code serves every modality.
#pragma once
#include <memory>
#include <vector>

#include "model/models.h"
#include "work/explain/units.h"
#include "work/steer/intervention.h"

namespace crate {

/// A row that the input puts into the stream of layer 0.
struct Source {
  UnitKind kind;  // token or position
  int64_t position, index;
  Tensor embedding;  // (1, d)
};

/// Atoms that are changed while the subject runs; `first` is the place of its first token in its text.
struct AtomChanges {
  std::vector<Intervention> list;
  int64_t first = 0;
};

class Subject {
 public:
  virtual ~Subject() = default;
  virtual Device& device() const = 0;
  virtual const ModelConfig& config() const = 0;
  virtual ParameterStore& store() const = 0;
  virtual int64_t batch() const = 0;
  /// One row of the batch, `count` times.
  virtual std::unique_ptr<Subject> repeated(int64_t row, int64_t count) const = 0;
  /// What the input puts into the stream, in one row of the batch; together embed.out. `patches` is what was seen at
  /// embed.patches, empty for a text.
  virtual std::vector<Source> sources(int64_t row, const Tensor& patches) const = 0;
  /// The scores that a target names: (b, n, V), or (b, classes); empty without scores.
  virtual Tensor forward(Run& run) const = 0;
  /// Without, only atoms can be targets.
  virtual bool has_scores() const { return true; }
  virtual const Blocks& blocks() const = 0;

  const AtomChanges& changes() const { return changes_; }
  /// Throws Error unless every site is that of a block's atoms.
  void change(AtomChanges changes);
  /// Passes the run on to `listener`, with the changes made.
  InterventionTap tap_for(Tap* listener) const;

 private:
  AtomChanges changes_;
};

/// A language model, which must outlive it, on tokens (b, n).
class LanguageSubject final : public Subject {
 public:
  LanguageSubject(LanguageModel& model, std::vector<int32_t> tokens, int64_t batch = 1);
  Device& device() const override { return model_.device(); }
  const ModelConfig& config() const override { return model_.config(); }
  ParameterStore& store() const override { return model_.store(); }
  int64_t batch() const override { return batch_; }
  std::unique_ptr<Subject> repeated(int64_t row, int64_t count) const override;
  std::vector<Source> sources(int64_t row, const Tensor& patches) const override;
  Tensor forward(Run& run) const override { return model_.logits(run, tensor()); }
  const Blocks& blocks() const override { return model_.blocks(); }

 private:
  int64_t positions() const { return static_cast<int64_t>(tokens_.size()) / batch_; }
  Tensor tensor() const;
  LanguageModel& model_;
  std::vector<int32_t> tokens_;
  int64_t batch_;
};

/// A model of images, which must outlive it, on normalised images (b, channels, height, width): a classifier, or what
/// has no scores: an auto-encoder's encoder, which sees every patch, and a model without classes.
class ImageSubject final : public Subject {
 public:
  ImageSubject(Model& model, std::vector<float> pixels, const Shape& shape);
  Device& device() const override { return model_.device(); }
  const ModelConfig& config() const override { return model_.config(); }
  ParameterStore& store() const override { return model_.store(); }
  int64_t batch() const override { return shape_[0]; }
  std::unique_ptr<Subject> repeated(int64_t row, int64_t count) const override;
  std::vector<Source> sources(int64_t row, const Tensor& patches) const override;
  Tensor forward(Run& run) const override;
  bool has_scores() const override { return classifier_ != nullptr && config().image.classes > 0; }
  const Blocks& blocks() const override { return blocks_; }

 private:
  Model& model_;
  VisionModel* classifier_;  // the model when it is one
  const Blocks& blocks_;
  std::vector<float> pixels_;
  Shape shape_;
};

}  // namespace crate
