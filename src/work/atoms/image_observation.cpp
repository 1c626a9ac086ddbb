#include "work/atoms/image_observation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "base/error.h"

namespace crate {
namespace {

constexpr std::size_t kept_images = 64;

constexpr std::array<const char*, 15> looks_and_places = {
    "class token", "upper third", "middle third", "lower third", "left third", "centre third", "right third", "border",
    "dark",        "bright",      "reddish",      "greenish",    "bluish",     "flat",         "busy"};

EvalTransform transform_of(const ImageConfig& image) {
  EvalTransform out;
  out.resize = 0;  // what just covers the crop: nothing of the image is lost on its short side
  out.height = static_cast<int>(image.height);
  out.width = static_cast<int>(image.width);
  return out;
}

Normalisation normalisation_of(const ImageConfig& image) {
  return {{image.mean.begin(), image.mean.end()}, {image.std.begin(), image.std.end()}};
}

}  // namespace

ImageObservation::ImageObservation(VisionModel& model, const ImageSet& set, int64_t images,
                                   const ObserveOptions& options)
    : Observation(model, options),
      vision_model_(model),
      set_(set),
      count_(images > 0 ? std::min(images, set.size()) : set.size()) {
  require(count_ > 1, "{} has {} images: there is nothing to hold out", set.source(), count_);
  for (const ImageClass& c : set.classes()) names_.push_back("class: " + c.name);
  for (const char* name : looks_and_places) {
    numbers_[name] = static_cast<int32_t>(names_.size());
    names_.emplace_back(name);
  }
  prepare(std::make_unique<Ngrams>());
}

const Image& ImageObservation::pixels(int64_t number) {
  if (const auto it = seen_.find(number); it != seen_.end()) return it->second;
  if (seen_.size() >= kept_images) seen_.clear();
  const ImageConfig& config = model_.config().image;
  Image image = with_channels(set_.decode(item(number)), static_cast<int>(config.channels));
  return seen_[number] = transformed(image, transform_of(config));
}

void ImageObservation::place_of(int64_t row, int64_t column, std::vector<int32_t>& out) const {
  const int64_t rows = model_.config().image.rows(), columns = model_.config().image.columns();
  constexpr std::array<const char*, 3> down = {"upper third", "middle third", "lower third"};
  constexpr std::array<const char*, 3> across = {"left third", "centre third", "right third"};
  out.push_back(feature(down[static_cast<std::size_t>(row * 3 / rows)]));
  out.push_back(feature(across[static_cast<std::size_t>(column * 3 / columns)]));
  if (row == 0 || column == 0 || row + 1 == rows || column + 1 == columns) out.push_back(feature("border"));
}

void ImageObservation::look_of(const Image& image, int64_t row, int64_t column, std::vector<int32_t>& out) const {
  const ImageConfig& config = model_.config().image;
  const int64_t h = config.patch, w = config.patch_columns();
  std::array<double, 3> mean{};
  double square = 0, all = 0;
  for (int64_t y = row * h; y < (row + 1) * h; ++y) {
    for (int64_t x = column * w; x < (column + 1) * w; ++x) {
      const uint8_t* p = image.at(static_cast<int>(y), static_cast<int>(x));
      double grey = 0;
      for (int c = 0; c < image.channels; ++c) {
        mean[static_cast<std::size_t>(c)] += p[c] / static_cast<double>(h * w);
        grey += p[c] / static_cast<double>(image.channels);
      }
      all += grey / static_cast<double>(h * w);
      square += grey * grey / static_cast<double>(h * w);
    }
  }
  const double spread = std::sqrt(std::max(0.0, square - all * all));
  if (all < 64) out.push_back(feature("dark"));
  if (all > 192) out.push_back(feature("bright"));
  if (spread < 8) out.push_back(feature("flat"));
  if (spread > 48) out.push_back(feature("busy"));
  constexpr std::array<const char*, 3> tints = {"reddish", "greenish", "bluish"};
  for (std::size_t c = 0; image.channels == 3 && c < 3; ++c)
    if (mean[c] > mean[(c + 1) % 3] + 20 && mean[c] > mean[(c + 2) % 3] + 20) out.push_back(feature(tints[c]));
}

WindowInfo ImageObservation::window(int64_t number) {
  WindowInfo out;
  out.begin = number * window_tokens();
  out.length = window_tokens();
  out.ngrams.resize(static_cast<std::size_t>(out.length));
  out.sections.push_back({0, out.length, out.begin, static_cast<int32_t>(number), is_held_out(number)});
  const ImageConfig& config = model_.config().image;
  const Image& image = pixels(number);
  const int label = set_.label(item(number));
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < out.length; ++i) {
    ids.clear();
    if (label >= 0) ids.push_back(label);
    if (const int64_t patch = i - (config.class_token ? 1 : 0); patch < 0) {
      ids.push_back(feature("class token"));
    } else {
      place_of(patch / config.columns(), patch % config.columns(), ids);
      look_of(image, patch / config.columns(), patch % config.columns(), ids);
    }
    std::sort(ids.begin(), ids.end());
    out.features.ids.insert(out.features.ids.end(), ids.begin(), ids.end());
    out.features.begin.push_back(static_cast<int32_t>(out.features.ids.size()));
  }
  return out;
}

std::string ImageObservation::output_text(int64_t output) const {
  const auto& classes = set_.classes();
  return output < static_cast<int64_t>(classes.size()) ? classes[static_cast<std::size_t>(output)].name
                                                       : fmt::format("class {}", output);
}

std::string ImageObservation::title(int64_t document) const {
  const int label = set_.label(item(document));
  const std::string name = std::filesystem::path(set_.name(item(document))).filename().string();
  return label < 0 ? name : fmt::format("{} ({})", name, set_.classes()[static_cast<std::size_t>(label)].name);
}

std::map<std::string, std::string> ImageObservation::about() const {
  const ImageConfig& config = model_.config().image;
  return {{"kind", "images"},
          {"corpus", set_.source()},
          {"documents_are", "images"},
          {"inventory", "classes"},
          {"class_token", config.class_token ? "1" : "0"},
          {"columns", fmt::format("{}", config.columns())},
          {"seed", fmt::format("{}", options_.seed)}};
}

void ImageObservation::forward(const std::vector<int64_t>& windows, Tap& tap) {
  const ImageConfig& config = model_.config().image;
  const int64_t numbers = config.channels * config.height * config.width;
  std::vector<float> images(static_cast<std::size_t>(numbers) * windows.size());
  const Normalisation normalisation = normalisation_of(config);
  for (std::size_t k = 0; k < windows.size(); ++k)
    normalise(pixels(windows[k]), normalisation, images.data() + static_cast<int64_t>(k) * numbers);
  const auto b = static_cast<int64_t>(windows.size());
  Run run(model_.device(), {.tap = &tap});
  vision_model_.tokens(run, {images.data(), {b, config.channels, config.height, config.width}, Dtype::f32});
}

}  // namespace crate
