// crate eval on images: loss, top-1 and top-5; nearest neighbours and a linear probe on features.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "cli/eval.h"
#include "model/checkpoint.h"
#include "work/eval/evaluate_images.h"
#include "work/eval/knn.h"
#include "work/eval/linear_probe.h"

namespace crate::cli {
namespace {

using nlohmann::json;

struct Row {
  std::string folder, family;
  int64_t parameters = 0;
  double flops = 0;  // of one image, forward
  std::optional<ImageEvalResult> result = {};
  std::optional<Accuracy> nearest = {};
  std::optional<ProbeResult> probe = {};
};

// Classes in the model's order, when the directory lists them.
std::vector<std::string> classes_of(const std::string& folder) {
  const DirectoryReader directory(folder);
  std::vector<std::string> out;
  if (!directory.has("classes.txt")) return out;
  std::istringstream lines(read_text_file(directory.path("classes.txt")));
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) out.push_back(line);
  return out;
}

ImageEvalOptions options_for(const EvalCommand& o, const ModelConfig& config) {
  ImageEvalOptions out;
  ModelConfig sized = config;
  if (o.height > 0) sized.image.height = o.height;
  if (o.width > 0) sized.image.width = o.width;
  out.transform = transform_for(sized);
  if (o.resize >= 0) out.transform.resize = o.resize;
  out.batch = o.text.batch;
  out.max_images = o.max_images;
  out.threads = o.threads;
  return out;
}

double flops_of_one(const ModelConfig& config, Device& device, const ImageEvalOptions& options,
                    const FeatureFunction& forward) {
  Run run(device);
  const Tensor image = run.constant({1, config.image.channels, options.transform.height, options.transform.width}, 0);
  forward(run, image);
  return run.forward_cost().flops;
}

void add_features(const EvalCommand& o, Device& device, const ModelConfig& config, const FeatureFunction& function,
                  const ImageSet& val, const ImageEvalOptions& options, Row& row) {
  if (o.neighbours == 0 && !o.probe) return;
  require(!o.train_data.empty(), "--knn and --probe learn from training images; name them with --train-data");
  std::vector<std::string> classes;
  for (const ImageClass& c : val.classes()) classes.push_back(c.id);
  const auto train_set = open_images(o.train_data, {.split = o.train_part, .classes = classes});
  const Features of_val = features_of(device, config, function, val, options);
  ImageEvalOptions all = options;
  all.max_images = 0;
  const Features of_train = features_of(device, config, function, *train_set, all);
  if (o.neighbours > 0) row.nearest = knn(device, of_train, of_val, {.neighbours = o.neighbours});
  if (o.probe) row.probe = linear_probe(of_train, of_val, {.seed = o.seed});
}

Row evaluate_one(const EvalCommand& o, const std::string& folder) {
  Device device(o.device_options(o.dtype));
  const std::unique_ptr<Model> model = load_model(device, folder);
  auto* classifier = dynamic_cast<VisionModel*>(model.get());
  auto* encoder = dynamic_cast<MaeModel*>(model.get());
  require(classifier || encoder, "{} reads no images; evaluate it on a text, apart from models of images", folder);
  const ModelConfig& config = model->config();
  Row row{folder, name_of(config.family), model->parameters()};
  ImageEvalOptions options = options_for(o, config);
  const bool classifies = config.image.classes > 0;
  require(classifies || o.neighbours > 0 || o.probe,
          "{} has no head that names classes; evaluate its features with --knn 20 --train-data, or --probe", folder);
  const auto set =
      open_images(o.data, {.split = o.part, .classes = classifies ? classes_of(folder) : std::vector<std::string>{}});
  Progress progress;
  options.progress = [&](int64_t done, int64_t total) {
    progress.show(fmt::format("[{}] {} of {} images", bar(static_cast<double>(done) / static_cast<double>(total), 20),
                              done, total));
  };
  const FeatureFunction features = [&](Run& run, const Tensor& images) {
    return classifier ? classifier->features(run, images) : encoder->features(run, images);
  };
  const FeatureFunction forward = [&](Run& run, const Tensor& images) {
    return classifies ? classifier->logits(run, images) : features(run, images);
  };
  row.flops = flops_of_one(config, device, options, forward);
  if (classifies) row.result = evaluate_images(*classifier, *set, options);
  add_features(o, device, config, features, *set, options, row);
  return row;
}

json json_of(const Row& row) {
  json out = {
      {"model", row.folder}, {"family", row.family}, {"parameters", row.parameters}, {"flops_per_image", row.flops}};
  if (row.result) {
    const ImageEvalResult& r = *row.result;
    out.update({{"loss", r.loss},
                {"top1", r.top1},
                {"top5", r.top5},
                {"images", r.images},
                {"images_per_second", r.images_per_second},
                {"waiting", r.waiting},
                {"code_nonzero", r.code_nonzero}});
  }
  if (row.nearest) out.update({{"knn_top1", row.nearest->top1}, {"knn_top5", row.nearest->top5}});
  if (row.probe)
    out.update({{"probe_top1", row.probe->val.top1},
                {"probe_top5", row.probe->val.top5},
                {"probe_loss", row.probe->val_loss},
                {"probe_train_loss", row.probe->train_loss}});
  return out;
}

void print_one(const Row& row) {
  fmt::print("{}  {}\n", bold(row.family), row.folder);
  if (row.result) {
    const ImageEvalResult& r = *row.result;
    fmt::print("  top-1    {:.2f} %\n  top-5    {:.2f} %\n  loss     {:.4f} nats/image\n", 100 * r.top1, 100 * r.top5,
               r.loss);
    fmt::print("  images   {}, {} images/s ({:.1f} % of the time waiting for data)\n", r.images,
               short_number(r.images_per_second), 100 * r.waiting);
    std::string layers;
    for (const double f : r.code_nonzero) layers += fmt::format(" {:.1f}", 100 * f);
    if (!layers.empty()) fmt::print("  non-zero codes, % a layer:{}\n", layers);
  }
  fmt::print("  size     {} parameters, {} FLOPs an image\n", row.parameters, short_number(row.flops));
  if (row.nearest)
    fmt::print("  nearest neighbours   top-1 {:.2f} %  top-5 {:.2f} %\n", 100 * row.nearest->top1,
               100 * row.nearest->top5);
  if (row.probe)
    fmt::print("  linear probe         top-1 {:.2f} %  top-5 {:.2f} %  loss {:.4f}\n", 100 * row.probe->val.top1,
               100 * row.probe->val.top5, row.probe->val_loss);
}

void print_table(const std::vector<Row>& rows) {
  fmt::print("{:<12} {:>11} {:>9} {:>8} {:>8} {:>11} {:>15} {:>9} {:>8} {:>8}\n", "model", "parameters", "FLOPs",
             "top-1", "top-5", "nats/image", "non-zero codes", "images/s", "k-NN", "probe");
  const auto percent = [](bool there, double value) {
    return there ? fmt::format("{:.2f} %", 100 * value) : std::string("-");
  };
  for (const Row& row : rows) {
    const ImageEvalResult r = row.result.value_or(ImageEvalResult{});
    fmt::print("{:<12} {:>11} {:>9} {:>8} {:>8} {:>11} {:>13.1f} % {:>9} {:>8} {:>8}\n", row.family, row.parameters,
               short_number(row.flops), percent(row.result.has_value(), r.top1),
               percent(row.result.has_value(), r.top5), row.result ? fmt::format("{:.4f}", r.loss) : "-",
               100 * r.mean_nonzero(), short_number(r.images_per_second),
               percent(row.nearest.has_value(), row.nearest ? row.nearest->top1 : 0),
               percent(row.probe.has_value(), row.probe ? row.probe->val.top1 : 0));
  }
}

}  // namespace

void eval_images(const EvalCommand& command) {
  std::vector<Row> rows;
  for (const std::string& folder : command.models) rows.push_back(evaluate_one(command, folder));
  if (command.json) {
    json all = json::array();
    for (const Row& row : rows) all.push_back(json_of(row));
    fmt::print("{}\n", rows.size() == 1 ? all[0].dump() : json{{"models", all}}.dump());
  } else if (rows.size() == 1) {
    print_one(rows[0]);
  } else {
    print_table(rows);
  }
}

}  // namespace crate::cli
