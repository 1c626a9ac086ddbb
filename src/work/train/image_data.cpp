#include "work/train/image_data.h"

#include <algorithm>
#include <map>
#include <span>

#include "base/error.h"
#include "base/sha256.h"
#include "work/measure/measure.h"

namespace crate {
namespace {

std::string identity_of(const ImageSet& set) {
  constexpr int64_t looked_at = 16;
  Sha256 hash;
  for (int64_t i = 0; i < std::min(looked_at, set.size()); ++i) {
    const int64_t item = i * set.size() / looked_at % set.size();
    const int32_t label = set.label(item);
    hash.update(std::as_bytes(std::span(&label, 1)));
    try {
      const Image image = set.decode(item);
      hash.update(std::as_bytes(std::span(image.pixels)));
    } catch (const Error&) {  // damaged: the loader counts and skips it
    }
  }
  return fmt::format("{} images, {} classes, {}", set.size(), set.classes().size(), hash.hex());
}

}  // namespace

ImageData::ImageData(Recipe& recipe, bool labels) {
  const DataRecipe& data = recipe.data;
  train_ = open_images(data.train, {.split = "train", .need_labels = labels});
  std::vector<std::string> classes;
  for (const ImageClass& c : train_->classes()) classes.push_back(c.id);
  val_ = open_images(data.val.empty() ? data.train : data.val,
                     {.split = "val", .need_labels = labels, .classes = classes});
  if (labels) check_trainable(*train_, static_cast<int>(recipe.model.image.classes));
  check(augmentation(recipe));
  check(evaluation(recipe).transform);
  check(normalisation_for(recipe.model), static_cast<int>(recipe.model.image.channels));
  const int64_t steps_per_epoch = train_->size() / recipe.train.batch;
  require(steps_per_epoch > 0, "{} has {} images, fewer than train.batch = {}", train_->source(), train_->size(),
          recipe.train.batch);
  if (recipe.train.epochs > 0) recipe.train.steps = recipe.train.epochs * steps_per_epoch;
  if (recipe.schedule.warmup_epochs > 0) recipe.schedule.warmup = recipe.schedule.warmup_epochs * steps_per_epoch;
  identity_ = identity_of(*train_);
}

std::string ImageData::classes_text() const {
  std::map<std::string, int> times;
  for (const ImageClass& c : train_->classes()) ++times[c.name];
  std::string out;
  for (const ImageClass& c : train_->classes()) out += (times[c.name] == 1 && !c.name.empty() ? c.name : c.id) + "\n";
  return out;
}

LoaderOptions ImageData::loader(const Recipe& recipe, std::vector<ViewOptions> views) const {
  return {.batch = recipe.train.batch,
          .training = true,
          .channels = static_cast<int>(recipe.model.image.channels),
          .normalisation = normalisation_for(recipe.model),
          .views = std::move(views),
          .seed = recipe.train.seed,
          .threads = static_cast<int>(recipe.data.workers),
          .memory = recipe.data.memory_mb << 20};
}

ImageEvalOptions ImageData::evaluation(const Recipe& recipe) {
  EvalTransform transform = transform_for(recipe.model);
  if (recipe.data.resize >= 0) transform.resize = static_cast<int>(recipe.data.resize);
  transform.interpolation = recipe.augment.interpolation;
  return {
      .transform = transform, .max_images = recipe.train.eval_images, .threads = static_cast<int>(recipe.data.workers)};
}

Measurement ImageData::measure(Model& model, const Recipe& recipe, int64_t samples) const {
  return crate::measure(model, *val_, {.samples = samples, .resize = evaluation(recipe).transform.resize});
}

AugmentOptions ImageData::augmentation(const Recipe& recipe) {
  AugmentOptions out = recipe.augment;
  out.height = static_cast<int>(recipe.model.image.height);
  out.width = static_cast<int>(recipe.model.image.width);
  return out;
}

const ImageBatch& TrainLoader::next(int64_t step) {
  const ImageBatch& batch = loader_.next(step);
  for (const std::string& reason : batch.skipped)
    if (damaged_.insert(reason).second) news_.push_back(reason);
  return batch;
}

void TrainLoader::report(double seconds, std::vector<Metric>& metrics) {
  const double waited = loader_.seconds_waited();
  metrics.emplace_back("waiting", seconds > 0 ? (waited - waited_) / seconds : 0);
  waited_ = waited;
  if (!damaged_.empty()) metrics.emplace_back("left_out", static_cast<double>(damaged_.size()));
}

}  // namespace crate
