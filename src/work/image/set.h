// set: images with labels behind one interface, wherever they lie.
//
//   a folder or tar of class folders (ImageFolder), perhaps under train/, val/, test/        dir, dir.tar
//   a folder or tar of images named by class (n01440764_tench.JPEG) beside classes.tsv       dir
//   MNIST's IDX files, plain or gzip: the folder, or the file of images                      dir,
//   train-images-idx3-ubyte.gz CIFAR-10 and CIFAR-100 in their binary version: the folder, or one file dir,
//   data_batch_1.bin the VOC layout (JPEGImages, SegmentationClass): images with masks, without labels        dir a
//   list of lines "path<TAB>label", label a number or a class                              list.tsv, list.txt one image
//   image.jpg generated scenes with exact masks (scene.h)                                              synthetic:2000
//
// Classes are numbered in the order of their sorted names, or as classes.tsv (or classes.txt) beside them lists them: a
// line a class, "id<TAB>name" or "number<TAB>id<TAB>name".
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "work/image/image.h"

namespace crate {

/// A class as its folder or file calls it, and as people do.
struct ImageClass {
  std::string id;
  std::string name;  // the id when nothing else is known
};

class ImageSet {
 public:
  virtual ~ImageSet() = default;

  virtual int64_t size() const = 0;
  /// -1 when the set has no labels.
  virtual int label(int64_t i) const = 0;
  /// What messages call the image: its file, and where in it.
  virtual std::string name(int64_t i) const = 0;
  /// Any number of threads may call it. Throws Error that begins with name(i) when the image is damaged.
  virtual Image decode(int64_t i) const = 0;
  /// Which class each pixel is of (one channel; 0 background, 255 not counted); none when the set has no masks.
  virtual std::optional<Image> mask(int64_t) const { return std::nullopt; }
  /// Whether decode(i) only copies, so that keeping its results gains nothing.
  virtual bool in_memory() const { return false; }

  /// What was opened, for messages.
  const std::string& source() const { return source_; }
  /// Empty when the set has no labels.
  const std::vector<ImageClass>& classes() const { return classes_; }

 protected:
  ImageSet(std::string source, std::vector<ImageClass> classes)
      : source_(std::move(source)), classes_(std::move(classes)) {}
  std::string source_;
  std::vector<ImageClass> classes_;
};

struct ImageSource {
  /// "train", "val" or "test": which part, where the source has parts; "val" and "test" stand for each other when one
  /// is missing. Empty: the source has none.
  std::string split = {};
  bool need_labels = true;  // false: a folder of images without classes will do
  /// Classes in a given order, ids or names; what a model was trained on. Labels then are places in this list, and a
  /// class that is not in it is an error. Empty: those of the source.
  std::vector<std::string> classes = {};
  DecodeLimits limits = {};
};

/// Opens what a recipe or a command names. Throws Error naming the file and the remedy when something is missing, has
/// no class folders, an empty class, or a label outside the range.
std::unique_ptr<ImageSet> open_images(const std::string& source, const ImageSource& options = {});

/// Throws Error when the set has fewer than two classes or other than `classes` ones (0: any), before a training
/// starts.
void check_trainable(const ImageSet& set, int classes = 0);

}  // namespace crate
