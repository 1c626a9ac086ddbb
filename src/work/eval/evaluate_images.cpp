#include "work/eval/evaluate_images.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/error.h"
#include "work/eval/sparsity.h"

namespace crate {
namespace {

double at(const Tensor& t, int64_t i) { return t.dtype == Dtype::f32 ? t.as<float>()[i] : t.as<double>()[i]; }

// How many answers stand before the right one.
int64_t rank_of(const Tensor& logits, int64_t row, int32_t label) {
  const int64_t n = logits.cols();
  const double right = at(logits, row * n + label);
  int64_t before = 0;
  for (int64_t j = 0; j < n; ++j) {
    const double other = at(logits, row * n + j);
    before += other > right || (other == right && j < label) ? 1 : 0;
  }
  return before;
}

}  // namespace

EvalTransform transform_for(const ModelConfig& config) {
  const ImageConfig& image = config.image;
  const int64_t side = std::min(image.height, image.width);
  return {.resize = side >= 128 ? static_cast<int>((side * 256 + 112) / 224) : 0,
          .height = static_cast<int>(image.height),
          .width = static_cast<int>(image.width)};
}

Normalisation normalisation_for(const ModelConfig& config) {
  return {{config.image.mean.begin(), config.image.mean.end()}, {config.image.std.begin(), config.image.std.end()}};
}

double ImageEvalResult::mean_nonzero() const {
  const double sum = std::accumulate(code_nonzero.begin(), code_nonzero.end(), 0.0);
  return code_nonzero.empty() ? 0 : sum / static_cast<double>(code_nonzero.size());
}

double for_each_batch(const ImageSet& set, const ModelConfig& config, const ImageEvalOptions& options,
                      const std::function<void(const Tensor& images, const ImageBatch& batch)>& f) {
  require(set.size() > 0, "{} holds no images", set.source());
  const SpreadSubset part(set, options.max_images);
  ImageLoader loader(part, {.batch = std::min(options.batch, part.size()),
                            .training = false,
                            .channels = static_cast<int>(config.image.channels),
                            .normalisation = normalisation_for(config),
                            .eval = options.transform,
                            .threads = options.threads});
  int64_t done = 0;
  for (int64_t step = 0; step < loader.steps_per_epoch(); ++step) {
    const ImageBatch& batch = loader.next(step);
    const ViewBatch& view = batch.views[0];
    const Shape shape{batch.size, config.image.channels, view.height, view.width};
    f({const_cast<float*>(view.images.data()), shape, Dtype::f32}, batch);
    done += batch.size;
    if (options.progress) options.progress(done, part.size());
  }
  return loader.seconds_waited();
}

ImageEvalResult evaluate_images(VisionModel& model, const ImageSet& set, const ImageEvalOptions& options) {
  const int64_t classes = model.config().image.classes;
  require(!set.classes().empty(), "{} has no labels to evaluate against; expected class folders or a list of labels",
          set.source());
  require(static_cast<int64_t>(set.classes().size()) == classes,
          "{} has {} classes, the model {}; evaluate on the classes it was trained on", set.source(),
          set.classes().size(), classes);
  ImageEvalResult out;
  SparsityTap sparsity(model.config().layers);
  const auto start = std::chrono::steady_clock::now();
  const double waited =
      for_each_batch(set, model.config(), options, [&](const Tensor& images, const ImageBatch& batch) {
        std::vector<float> targets(static_cast<std::size_t>(batch.size * classes));
        for (int64_t i = 0; i < batch.size; ++i)
          targets[static_cast<std::size_t>(i * classes + batch.labels[static_cast<std::size_t>(i)])] = 1;
        Run run(model.device(), {.tap = options.sparsity ? &sparsity : nullptr});
        const ClassLoss loss = model.loss(run, images, {targets.data(), {batch.size, classes}, Dtype::f32});
        for (int64_t i = 0; i < batch.size; ++i) {
          const int64_t rank = rank_of(loss.logits, i, batch.labels[static_cast<std::size_t>(i)]);
          out.loss += at(loss.image_loss, i);
          out.top1 += rank < 1 ? 1 : 0;
          out.top5 += rank < 5 ? 1 : 0;
        }
        out.images += batch.size;
      });
  const auto n = static_cast<double>(out.images);
  out.loss /= n;
  out.top1 /= n;
  out.top5 /= n;
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  out.images_per_second = n / out.seconds;
  out.waiting = waited / out.seconds;
  out.code_nonzero = sparsity.fractions();
  return out;
}

}  // namespace crate
