#include "work/train/dino_task.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numbers>

#include "base/error.h"
#include "base/rng.h"
#include "ops/coding_rate.h"
#include "ops/linear.h"
#include "ops/mlp.h"
#include "ops/unit_rows.h"
#include "work/eval/knn.h"
#include "work/train/init_from.h"

namespace crate {
namespace {

constexpr int64_t large_views = 2;
constexpr const char* projection_file = "projection.safetensors";

double at(const Tensor& t, int64_t i) { return t.dtype == Dtype::f32 ? t.as<float>()[i] : t.as<double>()[i]; }
void add_to(const GradTo& g, int64_t i, double value) {
  if (g.to.dtype == Dtype::f32)
    g.to.as<float>()[i] += static_cast<float>(value);
  else
    g.to.as<double>()[i] += value;
}
// A gradient that the caller adds to: zeroed when it is the first to write there.
GradTo opened(Run& run, const Tensor& x) {
  const GradTo g = run.seed_grad(x);
  if (!g.add) std::fill_n(static_cast<uint8_t*>(g.to.data), g.to.bytes(), uint8_t{0});
  return g;
}

}  // namespace

DinoTask::DinoTask(Device& device, Recipe& recipe)
    : device_(device),
      recipe_(recipe),
      data_(recipe, false),
      model_(device, recipe.model),
      projection_(device),
      teacher_(device,
               [&] {
                 const int64_t d = recipe.model.dim, hidden = recipe.dino.hidden, p = recipe.dino.features;
                 projection_.add("projection.w_in", {hidden, d});
                 projection_.add("projection.b_in", {hidden});
                 projection_.add("projection.w_out", {d, hidden});
                 projection_.add("projection.b_out", {d});
                 projection_.add("projection.features", {p, d});
                 projection_.add("projection.features_bias", {p});
                 return std::vector<ParameterStore*>{&model_.store(), &projection_};
               }()),
      loader_(data_.train(), data_.loader(recipe, crops())) {
  require(recipe.model.image.classes == 0,
          "[recipe] a self-supervised model has no classes; set model.image.classes = 0");
  model_.set_recompute(recipe.train.recompute);
}

std::vector<ViewOptions> DinoTask::crops() const {
  ViewOptions large{large_views, ImageData::augmentation(recipe_)};
  large.augment.scale_min = recipe_.dino.split;
  if (recipe_.dino.small_views == 0) return {large};
  ViewOptions small{static_cast<int>(recipe_.dino.small_views), ImageData::augmentation(recipe_)};
  small.augment.scale_max = recipe_.dino.split;
  small.augment.height = small.augment.width = static_cast<int>(recipe_.dino.small_size);
  return {large, small};
}

void DinoTask::init() {
  model_.init(recipe_.train.seed);
  if (!recipe_.train.init_from.empty()) init_from(model_, recipe_.train.init_from);
  const Rng rng(recipe_.train.seed, Stream::sample);
  uint64_t major = 0;
  for (Param& p : projection_.all()) {
    const double bound = p.value.shape.rank() == 2 ? 1 / std::sqrt(static_cast<double>(p.value.cols())) : 0;
    for (int64_t i = 0; i < p.value.numel(); ++i) {
      const double v = bound * (2 * rng.uniform(major, static_cast<uint64_t>(i)) - 1);
      if (p.value.dtype == Dtype::f32)
        p.value.as<float>()[i] = static_cast<float>(v);
      else
        p.value.as<double>()[i] = v;
    }
    ++major;
  }
  projection_.values_changed();
  teacher_.set();
}

void DinoTask::load(const DirectoryReader& directory) {
  resume_model(model_, directory);
  const std::string path = directory.path(projection_file);
  const ArrayMap arrays = read_safetensors(path).tensors;
  for (Param& p : projection_.all()) {
    const auto it = arrays.find(p.name);
    require(it != arrays.end(), "{} has no tensor {}", path, p.name);
    read_into(p.value, it->second, path + ": " + p.name);
  }
}

void DinoTask::put(DirectoryWriter& directory) {
  put_model(directory, model_);
  std::deque<std::vector<float>> buffers;
  std::vector<TensorToWrite> tensors;
  for (const Param& p : projection_.all()) tensors.push_back(as_f32(p.name, p.value, buffers.emplace_back()));
  directory.tensors(projection_file, tensors);
}

// Rows first .. first + rows - 1 of every view of a kind, view after view.
Tensor DinoTask::view(const ImageBatch& batch, std::size_t kind, int64_t first, int64_t rows) {
  const ViewBatch& from = batch.views[kind];
  const int64_t channels = recipe_.model.image.channels, size = channels * from.height * from.width;
  std::vector<float>& to = buffers_[kind];
  to.resize(static_cast<std::size_t>(from.count * rows * size));
  for (int64_t v = 0; v < from.count; ++v)
    std::copy_n(from.images.data() + (v * batch.size + first) * size, rows * size, to.data() + v * rows * size);
  return {to.data(), {from.count * rows, channels, from.height, from.width}, Dtype::f32};
}

Tensor DinoTask::features(Run& run, const Tensor& images) {
  const Tensor pooled = model_.features(run, images);
  const auto weight = [&](const char* name) { return run.param(projection_.at(std::string("projection.") + name)); };
  const Tensor hidden =
      mlp(run, pooled,
          {.w_in = weight("w_in"), .b_in = weight("b_in"), .w_out = weight("w_out"), .b_out = weight("b_out")});
  const Tensor projected = linear(run, hidden, {weight("features"), weight("features_bias")});
  return unit_rows(run, projected);
}

DinoTask::Views DinoTask::student(Run& run, const ImageBatch& batch, int64_t first, int64_t rows) {
  Views out{features(run, view(batch, 0, first, rows)), {}};
  if (batch.views.size() > 1) out.small = features(run, view(batch, 1, first, rows));
  return out;
}

std::vector<double> DinoTask::teacher(const ImageBatch& batch, int64_t first, int64_t rows) {
  const WeightAverage::Swap swapped(teacher_);
  Run run(device_);
  const Tensor t = features(run, view(batch, 0, first, rows));
  std::vector<double> out;
  for (int64_t i = 0; i < t.numel(); ++i) out.push_back(at(t, i));
  return out;
}

double DinoTask::agreement(Run& run, const Tensor& views, bool large, const std::vector<double>& teacher, int64_t rows,
                           double weight) {
  const int64_t p = views.cols(), count = views.rows() / rows, small = recipe_.dino.small_views;
  const int64_t pairs = large_views * (large_views + small) - large_views;
  const GradTo d = run.recording() ? opened(run, views) : GradTo{};
  const double factor = 1 / static_cast<double>(pairs * rows);
  double sum = 0;
  for (int64_t j = 0; j < count; ++j) {
    for (int64_t k = 0; k < rows * p; ++k) {
      double target = 0;  // of all teacher's views but the student's own
      for (int64_t i = 0; i < large_views; ++i)
        if (!large || i != j) target += teacher[static_cast<std::size_t>(i * rows * p + k)];
      sum += target * at(views, j * rows * p + k);
      if (d) add_to(d, j * rows * p + k, -recipe_.dino.coefficient * weight * factor * target);
    }
  }
  return sum * factor;
}

DinoTask::Loss DinoTask::loss_of(Run& run, const Views& views, const std::vector<double>& teacher, int64_t rows,
                                 double weight) {
  const auto m = static_cast<double>(rows), p = static_cast<double>(views.large.cols());
  const double gamma = (p + m) / (p * m);
  const Tensor by_view = views.large.reshaped({large_views, rows, views.large.cols()});
  const Tensor rates = coding_rate(run, by_view, {.alpha = p / (m * recipe_.dino.eps)});
  Loss out;
  for (int64_t v = 0; v < large_views; ++v) out.spread += gamma * at(rates, v) / large_views;
  if (run.recording()) {
    const GradTo d = opened(run, rates);
    for (int64_t v = 0; v < large_views; ++v) add_to(d, v, -weight * gamma / large_views);
  }
  out.agreement = agreement(run, views.large, true, teacher, rows, weight);
  if (views.small) out.agreement += agreement(run, views.small, false, teacher, rows, weight);
  return out;
}

double DinoTask::learn(Run& run, const BatchPart& part, Sums& sums) {
  const int64_t rows = recipe_.train.batch / part.parts, first = part.part * rows;
  const ImageBatch& batch = loader_.next(part.step);
  const std::vector<double> targets = teacher(batch, first, rows);
  const Views views = student(run, batch, first, rows);
  const Loss loss = loss_of(run, views, targets, rows, 1.0 / static_cast<double>(part.parts));
  run.walk();
  sums["agreement"] += loss.agreement;
  sums["spread"] += loss.spread;
  sums["parts"] += 1;
  return loss.value(recipe_.dino.coefficient);
}

void DinoTask::stepped(int64_t step) {
  const double along = static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, recipe_.train.steps));
  const double left = 0.5 * (1 + std::cos(std::numbers::pi * along));
  teacher_.update(1 - (1 - recipe_.dino.momentum) * left);
}

std::vector<Metric> DinoTask::metrics(const Sums& sums, double, double seconds) {
  const double parts = sums.contains("parts") ? sums.at("parts") : 0;
  std::vector<Metric> out = {{"agreement", parts > 0 ? sums.at("agreement") / parts : 0},
                             {"spread", parts > 0 ? sums.at("spread") / parts : 0}};
  loader_.report(seconds, out);
  return out;
}

// The loss on crops of images it does not learn from, and what nearest neighbours make of the features. Asked for the
// teacher's weights, student and teacher have changed places.
Validation DinoTask::validate() {
  const int64_t rows = std::min(recipe_.train.batch / recipe_.train.micro_batches, data_.val().size());
  LoaderOptions options = data_.loader(recipe_, crops());
  options.batch = rows;
  ImageLoader loader(data_.val(), options);
  const int64_t batches = std::max<int64_t>(1, std::min<int64_t>(4, loader.steps_per_epoch()));
  Loss sum;
  for (int64_t step = 0; step < batches; ++step) {
    const ImageBatch& batch = loader.next(step);
    const std::vector<double> targets = teacher(batch, 0, rows);
    Run run(device_);
    const Loss loss = loss_of(run, student(run, batch, 0, rows), targets, rows, 1);
    sum.agreement += loss.agreement / static_cast<double>(batches);
    sum.spread += loss.spread / static_cast<double>(batches);
  }
  Validation out{sum.value(recipe_.dino.coefficient), {{"agreement", sum.agreement}, {"spread", sum.spread}}, {}};
  if (data_.train().classes().empty() || data_.val().classes().empty()) return out;
  ImageEvalOptions evaluation = ImageData::evaluation(recipe_);
  const FeatureFunction function = [this](Run& run, const Tensor& images) { return model_.features(run, images); };
  const Features val = features_of(device_, recipe_.model, function, data_.val(), evaluation);
  evaluation.max_images = recipe_.dino.knn_images;
  Features train = features_of(device_, recipe_.model, function, data_.train(), evaluation);
  const int64_t neighbours = std::min<int64_t>(20, train.images);
  const Accuracy accuracy = knn(device_, std::move(train), val, {.neighbours = neighbours});
  out.metrics.emplace_back("knn_top1", accuracy.top1);
  return out;
}

double DinoTask::probe(int64_t step) {
  const ImageBatch& batch = loader_.next(step);
  const int64_t rows = recipe_.train.batch / recipe_.train.micro_batches;
  const std::vector<double> targets = teacher(batch, 0, rows);
  Run run(device_);
  return loss_of(run, student(run, batch, 0, rows), targets, rows, 1).value(recipe_.dino.coefficient);
}

}  // namespace crate
