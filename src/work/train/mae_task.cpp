#include "work/train/mae_task.h"

#include <algorithm>

#include "base/error.h"
#include "base/rng.h"
#include "work/train/init_from.h"

namespace crate {
namespace {

constexpr int64_t pictured = 8;
constexpr uint64_t validation = uint64_t{1} << 31;  // its noise lies away from that of the steps

double at(const Tensor& t, int64_t i) { return t.dtype == Dtype::f32 ? t.as<float>()[i] : t.as<double>()[i]; }

// The image with its masked patches in the mean colour: 0 once normalised.
std::vector<float> seen_part(const ImageConfig& image, const float* pixels, const Tensor& mask, int64_t row) {
  std::vector<float> out(static_cast<std::size_t>(image.channels * image.height * image.width));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto at_pixel = static_cast<int64_t>(i) % (image.height * image.width);
    const int64_t y = at_pixel / image.width, x = at_pixel % image.width;
    const int64_t patch = y / image.patch * image.columns() + x / image.patch_columns();
    out[i] = at(mask, row * image.patches() + patch) == 0 ? pixels[i] : 0.0F;
  }
  return out;
}

void paste(const Image& from, Image& to, int top, int left) {
  for (int y = 0; y < from.height; ++y)
    for (int x = 0; x < from.width; ++x)
      for (int c = 0; c < to.channels; ++c) to.at(top + y, left + x)[c] = from.at(y, x)[c];
}

}  // namespace

Image reconstruction_sheet(MaeModel& model, const Tensor& images, const Tensor& noise) {
  const ImageConfig& image = model.config().image;
  const Normalisation normalisation = normalisation_for(model.config());
  const auto h = static_cast<int>(image.height), w = static_cast<int>(image.width);
  const auto count = static_cast<int>(images.shape[0]);
  constexpr int gap = 2;
  Run run(model.device());
  const MaeOutput out = model.forward(run, images, noise);
  const Tensor pictures = model.pictures(run, images, out);
  Image sheet(count * (h + gap) - gap, 3 * (w + gap) - gap, static_cast<int>(image.channels));
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), uint8_t{255});
  const int64_t size = image.channels * image.height * image.width;
  for (int i = 0; i < count; ++i) {
    const float* whole = images.as<float>() + i * size;
    const std::vector<float> seen = seen_part(image, whole, out.mask, i);
    std::vector<float> filled;
    for (int64_t k = 0; k < size; ++k) filled.push_back(static_cast<float>(at(pictures, i * size + k)));
    int left = 0;
    for (const float* numbers : {whole, seen.data(), static_cast<const float*>(filled.data())}) {
      paste(denormalised(numbers, h, w, normalisation), sheet, i * (h + gap), left);
      left += w + gap;
    }
  }
  return sheet;
}

MaeTask::MaeTask(Device& device, Recipe& recipe)
    : device_(device),
      recipe_(recipe),
      data_(recipe, false),
      model_(device, recipe.model),
      loader_(data_.train(), data_.loader(recipe, {{.augment = ImageData::augmentation(recipe)}})) {
  model_.set_recompute(recipe.train.recompute);
}

void MaeTask::init() {
  model_.init(recipe_.train.seed);
  if (!recipe_.train.init_from.empty()) init_from(model_, recipe_.train.init_from);
}

void MaeTask::load(const DirectoryReader& directory) { resume_model(model_, directory); }

void MaeTask::put(DirectoryWriter& directory) {
  put_model(directory, model_);
  ImageEvalOptions options = ImageData::evaluation(recipe_);
  options.batch = options.max_images = std::min(pictured, data_.val().size());
  for_each_batch(data_.val(), recipe_.model, options, [&](const Tensor& images, const ImageBatch& batch) {
    std::vector<float> draws = noise(validation, 0, batch.size);
    const std::vector<std::byte> png = encode_png(reconstruction_sheet(model_, images, as_tensor(draws)));
    directory.text("reconstructions.png", {reinterpret_cast<const char*>(png.data()), png.size()});
  });
}

Tensor MaeTask::images_of(const ImageBatch& batch, int64_t first, int64_t rows) const {
  const ViewBatch& view = batch.views[0];
  const int64_t channels = recipe_.model.image.channels;
  auto* images = const_cast<float*>(view.images.data()) + first * channels * view.height * view.width;
  return {images, {rows, channels, view.height, view.width}, Dtype::f32};
}

std::vector<float> MaeTask::noise(uint64_t major, int64_t first, int64_t rows) const {
  const int64_t n = recipe_.model.image.patches();
  const Rng rng(recipe_.train.seed, Stream::data);
  std::vector<float> out;
  for (int64_t i = first * n; i < (first + rows) * n; ++i)
    out.push_back(static_cast<float>(rng.uniform(major, static_cast<uint64_t>(i))));
  return out;
}

Tensor MaeTask::as_tensor(std::vector<float>& noise) const {
  const int64_t n = recipe_.model.image.patches();
  return {noise.data(), {static_cast<int64_t>(noise.size()) / n, n}, Dtype::f32};
}

double MaeTask::learn(Run& run, const BatchPart& part, Sums&) {
  const int64_t rows = recipe_.train.batch / part.parts, first = part.part * rows;
  std::vector<float> draws = noise(static_cast<uint64_t>(part.step), first, rows);
  const MaeOutput out = model_.forward(run, images_of(loader_.next(part.step), first, rows), as_tensor(draws),
                                       1.0 / static_cast<double>(part.parts));
  const double loss = scalar(out.loss);
  run.backward(out.loss);
  return loss;
}

std::vector<Metric> MaeTask::metrics(const Sums&, double, double seconds) {
  std::vector<Metric> out;
  loader_.report(seconds, out);
  return out;
}

Validation MaeTask::validate() {
  double loss = 0;
  int64_t images = 0;
  for_each_batch(data_.val(), recipe_.model, ImageData::evaluation(recipe_),
                 [&](const Tensor& some, const ImageBatch& batch) {
                   std::vector<float> draws = noise(validation, images, batch.size);
                   Run run(device_);
                   loss += scalar(model_.forward(run, some, as_tensor(draws)).loss) * static_cast<double>(batch.size);
                   images += batch.size;
                 });
  return {loss / static_cast<double>(images), {{"images", static_cast<double>(images)}}, {}};
}

double MaeTask::probe(int64_t step) {
  std::vector<float> draws = noise(static_cast<uint64_t>(step), 0, 1);
  Run run(device_);
  return scalar(model_.forward(run, images_of(loader_.next(step), 0, 1), as_tensor(draws)).loss);
}

}  // namespace crate
