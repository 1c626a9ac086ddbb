// file_sets: images that are files of their own, in folders, in a tar, or named by a list.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <sstream>

#include "base/error.h"
#include "work/image/classes.h"
#include "work/image/sets.h"
#include "work/image/tree.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

class TreeSet : public ImageSet {
 public:
  struct Item {
    std::size_t file;
    int label;
  };

  TreeSet(std::string source, std::vector<ImageClass> classes, FileTree tree, std::vector<Item> items,
          DecodeLimits limits)
      : ImageSet(std::move(source), std::move(classes)),
        tree_(std::move(tree)),
        items_(std::move(items)),
        limits_(limits) {}

  int64_t size() const override { return static_cast<int64_t>(items_.size()); }
  int label(int64_t i) const override { return item(i).label; }
  std::string name(int64_t i) const override { return tree_.name(tree_.files()[item(i).file]); }
  Image decode(int64_t i) const override {
    Image image;
    tree_.read(tree_.files()[item(i).file], [&](auto bytes) { image = decode_image(bytes, name(i), limits_); });
    return image;
  }

 private:
  const Item& item(int64_t i) const { return items_.at(static_cast<std::size_t>(i)); }
  FileTree tree_;
  std::vector<Item> items_;
  DecodeLimits limits_;
};

/// Paths and labels, perhaps masks.
class PathSet : public ImageSet {
 public:
  struct Item {
    std::string path;
    int label = -1;
    std::string mask = {};
  };

  PathSet(std::string source, std::vector<ImageClass> classes, std::vector<Item> items, DecodeLimits limits)
      : ImageSet(std::move(source), std::move(classes)), items_(std::move(items)), limits_(limits) {
    for (const Item& item : items_) {
      for (const std::string& path : {item.path, item.mask})
        require(path.empty() || fs::is_regular_file(path), "{}: there is no file {}", source_, path);
    }
  }

  int64_t size() const override { return static_cast<int64_t>(items_.size()); }
  int label(int64_t i) const override { return item(i).label; }
  std::string name(int64_t i) const override { return item(i).path; }
  Image decode(int64_t i) const override { return load_image(item(i).path, limits_); }
  std::optional<Image> mask(int64_t i) const override {
    if (item(i).mask.empty()) return std::nullopt;
    return load_mask(item(i).mask, limits_);
  }

 private:
  const Item& item(int64_t i) const { return items_.at(static_cast<std::size_t>(i)); }
  std::vector<Item> items_;
  DecodeLimits limits_;
};

std::vector<ImageClass> listed_classes(const FileTree& tree, const std::string& source) {
  for (const char* name : {"classes.tsv", "classes.txt"}) {
    const std::string text = tree.root_file(name);
    if (!text.empty()) return parse_classes(text, fmt::format("{} of {}", name, source));
  }
  return {};
}

/// Images in class folders. Every folder of the root is a class and, `strict`, must hold one.
std::vector<TreeSet::Item> items_by_folder(const FileTree& tree, const ClassNumbers& numbers, const std::string& source,
                                           bool strict) {
  std::map<std::string, int64_t> count;
  for (const std::string& folder : tree.folders()) count[folder] = 0;
  std::vector<TreeSet::Item> items;
  for (std::size_t i = 0; i < tree.files().size(); ++i) {
    const std::string& path = tree.files()[i].path;
    const std::size_t slash = path.find('/');
    if (slash == std::string::npos || !has_image_suffix(path)) continue;
    const std::string folder = path.substr(0, slash);
    ++count[folder];
    items.push_back({i, numbers.number(folder, source)});
  }
  for (const auto& [folder, images] : count)
    require(images > 0 || !strict, "{}: class {} has no images; add some, or remove its folder", source, folder);
  require(!items.empty(), "{} holds no images (.jpg, .jpeg, .png, .webp)", source);
  return items;
}

/// Images at the root that are named "CLASS_anything", CLASS in classes.tsv.
std::vector<TreeSet::Item> items_by_prefix(const FileTree& tree, const ClassNumbers& numbers) {
  std::vector<TreeSet::Item> items;
  for (std::size_t i = 0; i < tree.files().size(); ++i) {
    const std::string& path = tree.files()[i].path;
    if (!has_image_suffix(path)) continue;
    items.push_back({i, numbers.number(path.substr(0, path.find('_')), tree.name(tree.files()[i]))});
  }
  return items;
}

int label_of(const std::string& word, const ClassNumbers& numbers, const std::string& where) {
  int number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || end != word.data() + word.size()) return numbers.number(word, where);
  require(number >= 0 && static_cast<std::size_t>(number) < numbers.classes().size(),
          "{}: label {} is outside the {} classes", where, number, numbers.classes().size());
  return number;
}

struct Line {
  std::string path, label;
  int64_t number;
};

std::vector<Line> lines_of(const std::string& source) {
  std::vector<Line> lines;
  std::istringstream in(read_text_file(source));
  int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    const std::size_t tab = line.find('\t');
    std::string label = tab == std::string::npos ? "" : line.substr(tab + 1);
    label = label.substr(0, label.find('\t'));
    lines.push_back({line.substr(0, tab), label, number});
  }
  require(!lines.empty(), "{} lists no images", source);
  return lines;
}

/// The classes of a list that has none beside it: those its labels mention, numbers up to the largest or sorted words.
std::vector<ImageClass> mentioned_classes(const std::vector<Line>& lines) {
  std::map<std::string, bool> words;
  std::size_t largest = 0;
  bool numbers = true;
  for (const Line& line : lines) {
    words[line.label] = true;
    std::size_t n = 0;
    const auto [end, error] = std::from_chars(line.label.data(), line.label.data() + line.label.size(), n);
    numbers = numbers && error == std::errc{} && end == line.label.data() + line.label.size() && n < (1u << 20);
    largest = std::max(largest, n);
  }
  std::vector<ImageClass> classes;
  if (numbers) {
    for (std::size_t i = 0; i <= largest; ++i) classes.push_back({std::to_string(i), std::to_string(i)});
  } else {
    for (const auto& [word, unused] : words) classes.push_back({word, word});
  }
  return classes;
}

}  // namespace

bool has_image_suffix(const std::string& path) {
  std::string suffix = fs::path(path).extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return suffix == ".jpg" || suffix == ".jpeg" || suffix == ".png" || suffix == ".webp";
}

std::unique_ptr<ImageSet> open_tree(const std::string& source, const ImageSource& options) {
  FileTree tree = FileTree::open(source, options.split);
  std::vector<ImageClass> listed = listed_classes(tree, source);
  const auto& files = tree.files();
  bool images_at_root = false, images_in_folders = false;
  for (const FileTree::File& file : files) {
    if (!has_image_suffix(file.path)) continue;
    (file.path.find('/') == std::string::npos ? images_at_root : images_in_folders) = true;
  }
  std::vector<TreeSet::Item> items;
  // A picture beside the class folders is no reason to pass them over, unless labels do not matter.
  if (!tree.folders().empty() && (!images_at_root || (options.need_labels && images_in_folders))) {
    if (listed.empty()) {
      for (const std::string& folder : tree.folders()) listed.push_back({folder, folder});
    }
    const ClassNumbers numbers(std::move(listed), options.classes);
    items = items_by_folder(tree, numbers, source, options.need_labels);
    return std::make_unique<TreeSet>(source, numbers.classes(), std::move(tree), std::move(items), options.limits);
  }
  if (images_at_root && !listed.empty()) {
    const ClassNumbers numbers(std::move(listed), options.classes);
    items = items_by_prefix(tree, numbers);
    return std::make_unique<TreeSet>(source, numbers.classes(), std::move(tree), std::move(items), options.limits);
  }
  require(!options.need_labels,
          "{} has no class folders: put the images of each class into a folder of their own, or write a list of lines "
          "path<TAB>label and name that",
          source);
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (has_image_suffix(files[i].path)) items.push_back({i, -1});
  }
  require(!items.empty(), "{} holds no images (.jpg, .jpeg, .png, .webp)", source);
  return std::make_unique<TreeSet>(source, std::vector<ImageClass>{}, std::move(tree), std::move(items),
                                   options.limits);
}

std::unique_ptr<ImageSet> open_list(const std::string& source, const ImageSource& options) {
  const std::vector<Line> lines = lines_of(source);
  const auto unlabelled = std::find_if(lines.begin(), lines.end(), [](const Line& l) { return l.label.empty(); });
  const bool labelled = unlabelled == lines.end();
  require(labelled || !options.need_labels, "{}:{}: no label; a line is path<TAB>label", source,
          labelled ? 0 : unlabelled->number);
  const fs::path folder = fs::path(source).parent_path();
  std::vector<ImageClass> listed;
  if (labelled) {
    const std::string beside = (folder / "classes.tsv").string();
    listed = fs::exists(beside) && !fs::equivalent(beside, source) ? parse_classes(read_text_file(beside), beside)
                                                                   : mentioned_classes(lines);
  }
  const ClassNumbers numbers(std::move(listed), labelled ? options.classes : std::vector<std::string>{});
  std::vector<PathSet::Item> items;
  for (const Line& line : lines) {
    const std::string where = fmt::format("{}:{}", source, line.number);
    items.push_back({(folder / line.path).string(), labelled ? label_of(line.label, numbers, where) : -1});
  }
  return std::make_unique<PathSet>(source, numbers.classes(), std::move(items), options.limits);
}

std::unique_ptr<ImageSet> open_single(const std::string& source, const ImageSource& options) {
  require(!options.need_labels, "{} is one image without a label; name a folder of class folders", source);
  return std::make_unique<PathSet>(source, std::vector<ImageClass>{}, std::vector<PathSet::Item>{{source, -1, ""}},
                                   options.limits);
}

std::unique_ptr<ImageSet> open_voc(const std::string& source, const ImageSource& options) {
  require(!options.need_labels, "{} has masks but no labels: it serves segmentation, not classification", source);
  const fs::path root = source;
  const fs::path part = root / "ImageSets" / "Segmentation" / (options.split + ".txt");
  std::vector<std::string> chosen;
  if (!options.split.empty() && fs::exists(part)) {
    std::istringstream in(read_text_file(part.string()));
    for (std::string stem; in >> stem;) chosen.push_back(stem);
  }
  std::vector<PathSet::Item> items;
  for (const auto& entry : fs::directory_iterator(root / "JPEGImages")) {
    const std::string stem = entry.path().stem().string();
    if (!has_image_suffix(entry.path().string())) continue;
    if (!chosen.empty() && std::find(chosen.begin(), chosen.end(), stem) == chosen.end()) continue;
    const fs::path mask = root / "SegmentationClass" / (stem + ".png");
    if (fs::exists(mask)) items.push_back({entry.path().string(), -1, mask.string()});
  }
  require(!items.empty(), "{} holds no image with a mask in SegmentationClass", source);
  std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return std::make_unique<PathSet>(source, std::vector<ImageClass>{}, std::move(items), options.limits);
}

}  // namespace crate
