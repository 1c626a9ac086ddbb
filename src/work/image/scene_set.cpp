// scene_set: scenes as a set of images, and as files.
#include <charconv>
#include <filesystem>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "work/image/classes.h"
#include "work/image/scene.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

std::vector<ImageClass> classes_of(const SceneOptions& options) {
  std::vector<ImageClass> classes;
  for (int i = 0; i < options.classes; ++i) {
    const std::string& name = shape_names()[static_cast<std::size_t>(i)];
    classes.push_back({name, name});
  }
  return classes;
}

class SceneSet : public ImageSet {
 public:
  SceneSet(const SceneOptions& options, const ClassNumbers& numbers)
      : ImageSet(fmt::format("synthetic:{}", options.count), numbers.classes()), options_(options) {
    for (const ImageClass& c : classes_of(options)) label_.push_back(numbers.number(c.id, source_));
  }
  int64_t size() const override { return options_.count; }
  int label(int64_t i) const override { return label_[static_cast<std::size_t>(i % options_.classes)]; }
  std::string name(int64_t i) const override { return fmt::format("{}[{}]", source_, i); }
  Image decode(int64_t i) const override { return make_scene(options_, i).image; }
  std::optional<Image> mask(int64_t i) const override {
    Image mask = make_scene(options_, i).classes;
    for (uint8_t& v : mask.pixels) {
      if (v > 0) v = static_cast<uint8_t>(label_[v - 1u] + 1);
    }
    return mask;
  }

 private:
  SceneOptions options_;
  std::vector<int> label_;
};

int64_t number(const std::string& text, const std::string& whole) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc{} && end == text.data() + text.size() && value >= 0 && value < (int64_t{1} << 31),
          "synthetic:{}: '{}' is no number", whole, text);
  return value;
}

std::string file_name(const SceneOptions& options, int64_t i) {
  return fmt::format("{}_{:06}.png", shape_names()[static_cast<std::size_t>(i % options.classes)], i);
}

void write_part(const SceneOptions& options, const fs::path& folder, const fs::path& voc) {
  for (int i = 0; i < options.classes; ++i) fs::create_directories(folder / shape_names()[static_cast<std::size_t>(i)]);
  std::string stems;
  for (int64_t i = 0; i < options.count; ++i) {
    const Scene scene = make_scene(options, i);
    const std::string name = file_name(options, i);
    write_png((folder / shape_names()[static_cast<std::size_t>(i % options.classes)] / name).string(), scene.image);
    if (voc.empty()) continue;
    write_png((voc / "JPEGImages" / name).string(), scene.image);
    write_png((voc / "SegmentationClass" / name).string(), scene.classes, voc_palette());
    write_png((voc / "SegmentationObject" / name).string(), scene.objects, voc_palette());
    stems += fs::path(name).stem().string() + "\n";
  }
  if (!voc.empty()) write_atomically((voc / "ImageSets" / "Segmentation" / "val.txt").string(), stems);
}

}  // namespace

SceneOptions parse_scenes(const std::string& text, const std::string& split) {
  SceneOptions o;
  std::istringstream in(text);
  std::string word;
  std::getline(in, word, ',');
  o.count = number(word, text);
  while (std::getline(in, word, ',')) {
    const std::size_t equals = word.find('=');
    const std::string key = word.substr(0, equals), value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (key == "size") {
      o.height = o.width = static_cast<int>(number(value, text));
    } else if (key == "objects") {
      const std::size_t dash = value.find('-');
      o.objects_min = static_cast<int>(number(value.substr(0, dash), text));
      o.objects_max =
          dash == std::string::npos ? o.objects_min : static_cast<int>(number(value.substr(dash + 1), text));
    } else if (key == "classes") {
      o.classes = static_cast<int>(number(value, text));
    } else if (key == "seed") {
      o.seed = static_cast<uint64_t>(number(value, text));
    } else {
      fail("synthetic:{}: '{}' is not size, objects, classes or seed", text, key);
    }
  }
  o.part = split == "val" ? 1 : split == "test" ? 2 : 0;
  return o;
}

std::unique_ptr<ImageSet> open_scenes(const SceneOptions& options, const ImageSource& source) {
  make_scene(options, 0);  // refuses what makes no sense
  return std::make_unique<SceneSet>(options, ClassNumbers(classes_of(options), source.classes));
}

void write_scenes(const SceneOptions& options, int64_t val, const std::string& out) {
  require(!fs::exists(out) || fs::is_empty(out), "{} exists and is not empty; remove it or name another folder", out);
  SceneOptions part = options;
  part.count = val;
  part.part = 1;
  make_scene(options, 0);
  make_scene(part, 0);
  const fs::path root = out, voc = root / "voc";
  for (const char* name : {"JPEGImages", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation"})
    fs::create_directories(voc / name);
  std::string names;
  for (const ImageClass& c : classes_of(options)) names += c.name + "\n";
  write_atomically((root / "classes.txt").string(), names);
  write_atomically((voc / "class_names.txt").string(), "_background_\n" + names);
  write_part(options, root / "train", {});
  write_part(part, root / "val", voc);
}

}  // namespace crate
