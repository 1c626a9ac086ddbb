// binary_sets: images as plain numbers, kept in memory: MNIST's IDX files and CIFAR's binary version.
//   IDX: 0 0 8 (unsigned bytes) k, k sizes as big-endian int32, the numbers; images (n, h, w) or (n, h, w, 3), labels
//   (n). CIFAR-10: records of a label and 3 x 32 x 32 bytes, one plane a colour; CIFAR-100: a coarse label before the
//   fine one.
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "work/image/classes.h"
#include "work/image/sets.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

/// All images of one size one after the other, (h, w, c) each.
class MemorySet : public ImageSet {
 public:
  MemorySet(std::string source, std::vector<ImageClass> classes, Image shape, std::vector<uint8_t> pixels,
            std::vector<int> labels)
      : ImageSet(std::move(source), std::move(classes)),
        shape_(std::move(shape)),
        pixels_(std::move(pixels)),
        labels_(std::move(labels)) {}

  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }
  int label(int64_t i) const override { return labels_.at(static_cast<std::size_t>(i)); }
  std::string name(int64_t i) const override { return fmt::format("{}[{}]", source_, i); }
  bool in_memory() const override { return true; }
  Image decode(int64_t i) const override {
    require(i >= 0 && i < size(), "[images] {} has {} images, asked for {}", source_, size(), i);
    Image image = shape_;
    const std::size_t n = image.pixels.size();
    std::copy_n(pixels_.data() + static_cast<std::size_t>(i) * n, n, image.pixels.data());
    return image;
  }

 private:
  Image shape_;
  std::vector<uint8_t> pixels_;
  std::vector<int> labels_;
};

/// A file of bytes, plain or gzip, read piece by piece.
class ByteFile {
 public:
  explicit ByteFile(const std::string& path) : path_(path) {
    require(fs::is_regular_file(path), "there is no file {}", path);
    file_ = gzopen(path.c_str(), "rb");
    require(file_ != nullptr, "cannot open {}", path);
  }
  ~ByteFile() { gzclose(file_); }
  ByteFile(const ByteFile&) = delete;
  ByteFile& operator=(const ByteFile&) = delete;

  /// n bytes; memory grows with what is there, not with what a header promises.
  std::vector<uint8_t> read(uint64_t n) {
    std::vector<uint8_t> out;
    while (out.size() < n) {
      const std::size_t piece = std::min<uint64_t>(n - out.size(), uint64_t{1} << 22), before = out.size();
      out.resize(before + piece);
      const int got = gzread(file_, out.data() + before, static_cast<unsigned>(piece));
      require(got == static_cast<int>(piece), "{} is damaged or cut short; fetch it again", path_);
    }
    return out;
  }
  void expect_end() {
    uint8_t more = 0;
    const int got = gzread(file_, &more, 1);
    require(got >= 0, "{} is damaged; fetch it again", path_);
    require(got == 0, "{} is longer than its header says", path_);
  }

 private:
  std::string path_;
  gzFile file_;
};

struct Idx {
  std::vector<uint64_t> sizes;
  std::vector<uint8_t> numbers;
};

Idx read_idx(const std::string& path) {
  ByteFile file(path);
  const std::vector<uint8_t> magic = file.read(4);
  require(magic[0] == 0 && magic[1] == 0 && magic[2] == 8 && magic[3] >= 1 && magic[3] <= 4,
          "{} is no IDX file of bytes (it must begin with 0 0 8 and the number of its sizes)", path);
  Idx idx;
  uint64_t total = 1;
  for (int k = 0; k < magic[3]; ++k) {
    const std::vector<uint8_t> b = file.read(4);
    idx.sizes.push_back(uint64_t{b[0]} << 24 | uint64_t{b[1]} << 16 | uint64_t{b[2]} << 8 | b[3]);
    require(idx.sizes.back() > 0 && total <= (uint64_t{1} << 36) / idx.sizes.back(), "{}: sizes of {}", path,
            fmt::join(idx.sizes, " x "));
    total *= idx.sizes.back();
  }
  idx.numbers = file.read(total);
  file.expect_end();
  return idx;
}

/// The file of labels beside one of images: "images" reads "labels" and "idx3" (or "idx4") "idx1" in its name.
std::string label_file(const std::string& images) {
  std::string name = fs::path(images).filename();
  for (const auto& [from, to] : {std::pair{"images", "labels"}, std::pair{"idx3", "idx1"}, std::pair{"idx4", "idx1"}}) {
    const std::size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, std::string_view(from).size(), to);
  }
  const fs::path path = fs::path(images).parent_path() / name;
  require(path != images, "{}: a file of images has 'images' in its name, and its labels lie beside it as 'labels'",
          images);
  if (!fs::exists(path) && path.extension() == ".gz") return (path.parent_path() / path.stem()).string();
  if (!fs::exists(path) && fs::exists(path.string() + ".gz")) return path.string() + ".gz";
  return path.string();
}

std::vector<ImageClass> numbered_classes(std::size_t n) {
  std::vector<ImageClass> classes;
  for (std::size_t i = 0; i < n; ++i) classes.push_back({std::to_string(i), std::to_string(i)});
  return classes;
}

/// Names of the classes in the first of the files that exists beside the data, else numbers.
std::vector<ImageClass> classes_beside(const fs::path& folder, const std::vector<const char*>& names, std::size_t n) {
  for (const char* name : names) {
    const std::string path = (folder / name).string();
    if (!fs::exists(path)) continue;
    std::vector<ImageClass> classes = parse_classes(read_text_file(path), path);
    require(n == 0 || classes.size() == n, "{} lists {} classes, expected {}", path, classes.size(), n);
    return classes;
  }
  return numbered_classes(n);
}

/// The labels as numbers of `numbers`, which may be in another order than the file's `own`.
std::vector<int> renumbered(std::vector<int> labels, const std::vector<ImageClass>& own, const ClassNumbers& numbers,
                            const std::string& where) {
  std::vector<int> table(own.size(), -1);
  for (int& label : labels) {
    int& number = table[static_cast<std::size_t>(label)];
    if (number < 0) number = numbers.number(own[static_cast<std::size_t>(label)].id, where);
    label = number;
  }
  return labels;
}

}  // namespace

std::unique_ptr<ImageSet> open_idx(const std::string& source, const ImageSource& options) {
  Idx images = read_idx(source);
  const bool coloured = images.sizes.size() == 4;
  require((images.sizes.size() == 3 || coloured) && (!coloured || images.sizes[3] == 3),
          "{} holds numbers of {}, not images (n x h x w or n x h x w x 3)", source, fmt::join(images.sizes, " x "));
  require(images.sizes[1] * images.sizes[2] <= static_cast<uint64_t>(options.limits.pixels),
          "{}: images of {} x {} pixels are more than the limit of {}", source, images.sizes[2], images.sizes[1],
          options.limits.pixels);
  const std::string label_path = label_file(source);
  const Idx read = read_idx(label_path);
  require(read.sizes.size() == 1 && read.sizes[0] == images.sizes[0], "{} holds {} labels for {} images", label_path,
          fmt::join(read.sizes, " x "), images.sizes[0]);
  const std::size_t largest = *std::max_element(read.numbers.begin(), read.numbers.end());
  std::vector<ImageClass> own = classes_beside(fs::path(source).parent_path(), {"classes.tsv", "classes.txt"}, 0);
  if (own.empty()) own = numbered_classes(largest + 1);
  require(largest < own.size(), "{}: label {} is outside the {} classes", label_path, largest, own.size());
  const ClassNumbers numbers(own, options.classes);
  std::vector<int> labels = renumbered({read.numbers.begin(), read.numbers.end()}, own, numbers, label_path);
  return std::make_unique<MemorySet>(
      source, numbers.classes(),
      Image(static_cast<int>(images.sizes[1]), static_cast<int>(images.sizes[2]), coloured ? 3 : 1),
      std::move(images.numbers), std::move(labels));
}

std::unique_ptr<ImageSet> open_cifar(const std::vector<std::string>& files, const ImageSource& options) {
  constexpr std::size_t side = 32, plane = side * side;
  Image shape(side, side, 3);
  std::vector<uint8_t> pixels;
  std::vector<int> labels;
  std::size_t record = 0;
  for (const std::string& path : files) {
    const MappedFile file(path);
    const std::size_t size = file.bytes().size();
    if (record == 0) record = size % (3 * plane + 1) == 0 ? 3 * plane + 1 : 3 * plane + 2;
    require(size > 0 && size % record == 0, "{}: {} bytes are no whole number of CIFAR's records of {}; fetch it again",
            path, size, record);
    const auto* bytes = reinterpret_cast<const uint8_t*>(file.bytes().data());
    const std::size_t count = size / record, head = record - 3 * plane;
    const int classes = head == 1 ? 10 : 100;
    for (std::size_t i = 0; i < count; ++i, bytes += record) {
      labels.push_back(bytes[head - 1]);
      require(labels.back() < classes, "{}: label {} of image {} is outside the {} classes", path, labels.back(), i,
              classes);
      for (std::size_t p = 0; p < plane; ++p) {
        for (std::size_t c = 0; c < 3; ++c) pixels.push_back(bytes[head + c * plane + p]);
      }
    }
  }
  const bool ten = record == 3 * plane + 1;
  const std::vector<ImageClass> own =
      classes_beside(fs::path(files[0]).parent_path(),
                     ten ? std::vector{"batches.meta.txt"} : std::vector{"fine_label_names.txt"}, ten ? 10 : 100);
  const std::string source = files.size() == 1 ? files[0] : fs::path(files[0]).parent_path().string();
  const ClassNumbers numbers(own, options.classes);
  std::vector<int> numbered = renumbered(std::move(labels), own, numbers, source);
  return std::make_unique<MemorySet>(source, numbers.classes(), std::move(shape), std::move(pixels),
                                     std::move(numbered));
}

std::string find_idx(const std::string& folder, const std::string& split) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.find("images") != std::string::npos && name.find("idx") != std::string::npos)
      found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  if (found.empty()) return "";
  require(!split.empty(), "{} holds MNIST's files: choose train or test with split", folder);
  for (const std::string& path : found) {
    const std::string name = fs::path(path).filename();
    if ((name.find("train") != std::string::npos) == (split == "train")) return path;
  }
  fail("{} holds no IDX file of images for {}, only {}", folder, split, fmt::join(found, ", "));
}

std::vector<std::string> find_cifar(const std::string& folder, const std::string& split) {
  std::vector<std::string> train, test;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("data_batch_") && name.ends_with(".bin")) train.push_back(entry.path().string());
    if (name == "train.bin" && fs::exists(fs::path(folder) / "fine_label_names.txt"))
      train.push_back(entry.path().string());
    if (name == "test_batch.bin") test.push_back(entry.path().string());
    if (name == "test.bin" && fs::exists(fs::path(folder) / "fine_label_names.txt"))
      test.push_back(entry.path().string());
  }
  if (train.empty() && test.empty()) return {};
  require(!split.empty(), "{} holds CIFAR's files: choose train or test with split", folder);
  std::vector<std::string>& chosen = split == "train" ? train : test;
  require(!chosen.empty(), "{} holds no CIFAR file for {}", folder, split);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace crate
