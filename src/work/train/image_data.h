// image_data: the images a recipe learns from and validates on, and how a loader is to bring them.
#pragma once
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/config.h"
#include "work/eval/evaluate_images.h"
#include "work/image/loader.h"
#include "work/train/recipe.h"
#include "work/train/task.h"

namespace crate {

class ImageData {
 public:
  /// Opens both sets. With labels they must have the classes the model has. Settles steps and warm-up from epochs.
  /// Throws Error before anything is trained.
  ImageData(Recipe& recipe, bool labels);

  const ImageSet& train() const { return *train_; }
  const ImageSet& val() const { return *val_; }
  /// What tells the training images from others, without decoding all of them: how many, and some of them.
  const std::string& identity() const { return identity_; }
  /// classes.txt of a model directory: a class a line, its name, or its id where names repeat; empty without classes.
  std::string classes_text() const;

  /// For training, with the crops of a recipe.
  LoaderOptions loader(const Recipe& recipe, std::vector<ViewOptions> views) const;
  /// For validation.
  static ImageEvalOptions evaluation(const Recipe& recipe);
  /// The recipe's crops and changes, at the size of the model.
  static AugmentOptions augmentation(const Recipe& recipe);
  /// Every layer of a model over so many validation images.
  Measurement measure(Model& model, const Recipe& recipe, int64_t samples) const;

 private:
  std::unique_ptr<ImageSet> train_, val_;
  std::string identity_;
};

/// The loader of a training run, and what it says of itself.
class TrainLoader {
 public:
  TrainLoader(const ImageSet& set, const LoaderOptions& options) : loader_(set, options) {}
  const ImageBatch& next(int64_t step);
  int64_t steps_per_epoch() const { return loader_.steps_per_epoch(); }
  /// "waiting", the share of `seconds` waited for data since the last call, and "left_out", how many damaged images
  /// were met so far, when there are any.
  void report(double seconds, std::vector<Metric>& metrics);
  /// Damaged images met for the first time since this was last asked: why each was left out, with its file's name.
  std::vector<std::string> left_out() { return std::exchange(news_, {}); }

 private:
  ImageLoader loader_;
  double waited_ = 0;
  std::set<std::string> damaged_;
  std::vector<std::string> news_;
};

}  // namespace crate
