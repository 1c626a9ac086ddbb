#include "work/look/view.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "work/eval/evaluate_images.h"
#include "work/image/resample.h"
#include "work/measure/numbers.h"

namespace crate {
namespace {

// Keeps one site of one image.
class OneSite final : public Tap {
 public:
  OneSite(std::string site) : site_(std::move(site)) {}
  bool wants(std::string_view site) override { return site == site_; }
  void see(std::string_view site, const Tensor& value) override {
    if (site != site_) return;
    shape = value.shape;
    values = doubles_of(value);
  }
  Shape shape;
  std::vector<double> values;

 private:
  std::string site_;
};

// Reduces the patterns of every layer to maps as they come: all of them together would be large.
class PatternTap final : public Tap {
 public:
  PatternTap(const ModelConfig& config, AttentionMaps& maps) : config_(config), maps_(maps) {}
  bool wants(std::string_view site) override { return site.ends_with(".pattern"); }
  void see(std::string_view site, const Tensor& value) override {
    if (!wants(site)) return;
    const int64_t n = value.shape[2], first = config_.image.class_token ? 1 : 0, patches = n - first;
    const std::vector<double> p = doubles_of(value);
    const int64_t queries = maps_.of_class_token ? 1 : n;
    for (int64_t h = 0; h < maps_.heads; ++h) {
      for (int64_t j = 0; j < patches; ++j) {
        double sum = 0;
        for (int64_t q = 0; q < queries; ++q) sum += p[(h * n + q) * n + first + j];
        maps_.values.push_back(sum / static_cast<double>(queries));
      }
    }
    ++maps_.layers;
  }

 private:
  const ModelConfig& config_;
  AttentionMaps& maps_;
};

void run_model(Model& model, const ModelInput& input, Tap& tap) {
  Run run(model.device(), {.tap = &tap});
  std::vector<float> numbers = input.numbers;
  const Shape shape{1, model.config().image.channels, input.image.height, input.image.width};
  tokens_of_images(model, run, {numbers.data(), shape, Dtype::f32});
}

}  // namespace

ModelInput input_for(const ModelConfig& config, const Image& picture, int64_t size) {
  require(is_image(config.family), "a {} reads no images; look through a model of a family of images",
          name_of(config.family));
  const ImageConfig& c = config.image;
  const int64_t wanted = size > 0 ? size : std::min(c.height, c.width);
  require(wanted >= std::max(c.patch, c.patch_columns()), "a size of {} pixels is below one patch of {} x {}", wanted,
          c.patch, c.patch_columns());
  const double scale = static_cast<double>(wanted) / std::min(picture.height, picture.width);
  const auto count = [&](int side, int64_t patch) {
    return std::max<int64_t>(1, std::llround(scale * side / static_cast<double>(patch)));
  };
  ModelInput out;
  out.rows = count(picture.height, c.patch);
  out.columns = count(picture.width, c.patch_columns());
  const Image channels = with_channels(picture, static_cast<int>(c.channels));
  out.image = resize(channels, static_cast<int>(out.rows * c.patch), static_cast<int>(out.columns * c.patch_columns()),
                     Filter::bilinear);
  out.numbers.resize(out.image.pixels.size());
  normalise(out.image, normalisation_for(config), out.numbers.data());
  return out;
}

int64_t usual_layer(const ModelConfig& config) { return std::max<int64_t>(0, config.layers - 2); }

PatchFeatures projections_of(Model& model, const ModelInput& input, int64_t layer) {
  const ModelConfig& config = model.config();
  require(layer >= 0 && layer < config.layers, "the model has layers 0 to {}, none {}", config.layers - 1, layer);
  const bool white = is_white_box(config.family);
  OneSite tap(fmt::format("blocks.{}.{}.coords", layer, white ? "mssa" : "mha"));
  run_model(model, input, tap);
  const int64_t all = tap.shape.cols(), width = white ? all : all / 3, begin = white ? 0 : width;
  const int64_t first = config.image.class_token ? 1 : 0;
  PatchFeatures out{input.rows, input.columns, width, {}};
  out.values.reserve(static_cast<std::size_t>(out.patches() * width));
  for (int64_t i = 0; i < out.patches(); ++i) {
    const double* row = &tap.values[(i + first) * all + begin];
    out.values.insert(out.values.end(), row, row + width);
  }
  return out;
}

AttentionMaps attention_of(Model& model, const ModelInput& input) {
  AttentionMaps out;
  out.heads = model.config().heads;
  out.rows = input.rows;
  out.columns = input.columns;
  out.of_class_token = model.config().image.class_token;
  PatternTap tap(model.config(), out);
  run_model(model, input, tap);
  return out;
}

}  // namespace crate
