#include "work/train/image_task.h"

#include <algorithm>

#include "base/error.h"
#include "work/train/init_from.h"

namespace crate {
namespace {

// Of a (soft) target or an answer.
template <class T> int64_t largest(const T* row, int64_t n) { return std::max_element(row, row + n) - row; }

int64_t answer(const Tensor& logits, int64_t row) {
  const int64_t n = logits.cols();
  return logits.dtype == Dtype::f32 ? largest(logits.as<float>() + row * n, n)
                                    : largest(logits.as<double>() + row * n, n);
}

}  // namespace

ImageTask::ImageTask(Device& device, Recipe& recipe)
    : device_(device),
      recipe_(recipe),
      data_(recipe, true),
      model_(device, recipe.model),
      loader_(data_.train(), data_.loader(recipe, {{.augment = ImageData::augmentation(recipe)}})) {
  model_.set_recompute(recipe.train.recompute);
}

void ImageTask::init() {
  model_.init(recipe_.train.seed);
  if (!recipe_.train.init_from.empty()) init_from(model_, recipe_.train.init_from);
}

void ImageTask::load(const DirectoryReader& directory) { resume_model(model_, directory); }

void ImageTask::put(DirectoryWriter& directory) {
  put_model(directory, model_);
  directory.text("classes.txt", data_.classes_text());
}

ImageTask::Rows ImageTask::rows_of(const ImageBatch& batch, int64_t first, int64_t rows) const {
  const ViewBatch& view = batch.views[0];
  const int64_t channels = recipe_.model.image.channels, classes = recipe_.model.image.classes;
  auto* images = const_cast<float*>(view.images.data()) + first * channels * view.height * view.width;
  auto* targets = const_cast<float*>(batch.targets.data()) + first * classes;
  return {{images, {rows, channels, view.height, view.width}, Dtype::f32}, {targets, {rows, classes}, Dtype::f32}};
}

double ImageTask::learn(Run& run, const BatchPart& part, Sums& sums) {
  const int64_t rows = recipe_.train.batch / part.parts;
  const Rows batch = rows_of(loader_.next(part.step), part.part * rows, rows);
  const ClassLoss out = model_.loss(run, batch.images, batch.targets, 1.0 / static_cast<double>(part.parts));
  const int64_t classes = recipe_.model.image.classes;
  for (int64_t i = 0; i < rows; ++i) {
    const bool right = answer(out.logits, i) == largest(batch.targets.as<float>() + i * classes, classes);
    sums["right"] += right ? 1 : 0;
    sums["images"] += 1;
  }
  const double loss = scalar(out.loss);
  run.backward(out.loss);
  return loss;
}

std::vector<Metric> ImageTask::metrics(const Sums& sums, double, double seconds) {
  const double images = sums.contains("images") ? sums.at("images") : 0;
  std::vector<Metric> out = {{"top1", images > 0 ? sums.at("right") / images : 0}};
  loader_.report(seconds, out);
  return out;
}

Validation ImageTask::validate() {
  const ImageEvalResult r = evaluate_images(model_, data_.val(), ImageData::evaluation(recipe_));
  return {r.loss, {{"top1", r.top1}, {"top5", r.top5}, {"images", static_cast<double>(r.images)}}, r.code_nonzero};
}

double ImageTask::probe(int64_t step) {
  const Rows row = rows_of(loader_.next(step), 0, 1);
  Run run(device_);
  return scalar(model_.loss(run, row.images, row.targets).loss);
}

}  // namespace crate
