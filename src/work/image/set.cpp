#include "work/image/set.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "work/image/scene.h"
#include "work/image/sets.h"
#include "work/image/tar.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

enum class Kind : uint8_t { image, tar, gzip, idx, cifar, list };

Kind kind_of(const std::string& source) {
  const MappedFile file(source);
  const auto bytes = file.bytes();
  require(!bytes.empty(), "{} is empty", source);
  if (looks_like_image(bytes)) return Kind::image;
  if (looks_like_tar(bytes)) return Kind::tar;
  const auto begins = [&](std::initializer_list<int> magic) {
    std::size_t i = 0;
    for (const int b : magic) {
      if (i >= bytes.size() || std::to_integer<int>(bytes[i++]) != b) return false;
    }
    return true;
  };
  if (begins({0x1f, 0x8b})) return Kind::gzip;
  if (begins({0, 0, 8})) return Kind::idx;
  if (source.ends_with(".bin")) return Kind::cifar;
  for (const char* suffix : {".txt", ".tsv", ".lst"}) {
    if (source.ends_with(suffix)) return Kind::list;
  }
  fail("{} is neither an image, a tar, an IDX or CIFAR file, nor a list (.txt, .tsv, .lst)", source);
}

std::unique_ptr<ImageSet> open_folder(const std::string& source, const ImageSource& options) {
  const std::string idx = find_idx(source, options.split);
  if (!idx.empty()) return open_idx(idx, options);
  const std::vector<std::string> cifar = find_cifar(source, options.split);
  if (!cifar.empty()) return open_cifar(cifar, options);
  if (fs::is_directory(fs::path(source) / "JPEGImages") && fs::is_directory(fs::path(source) / "SegmentationClass"))
    return open_voc(source, options);
  return open_tree(source, options);
}

std::unique_ptr<ImageSet> open_source(const std::string& source, const ImageSource& options) {
  constexpr std::string_view scenes = "synthetic:";
  if (source.starts_with(scenes))
    return open_scenes(parse_scenes(source.substr(scenes.size()), options.split), options);
  if (fs::is_directory(source)) return open_folder(source, options);
  require(fs::exists(source), "there is no file or folder {}", source);
  switch (kind_of(source)) {
    case Kind::image:
      return open_single(source, options);
    case Kind::tar:
      return open_tree(source, options);
    case Kind::idx:
      return open_idx(source, options);
    case Kind::cifar:
      return open_cifar({source}, options);
    case Kind::list:
      return open_list(source, options);
    case Kind::gzip:
      break;
  }
  require(source.find("idx") != std::string::npos,
          "{} is gzip; only MNIST's IDX files are read so, archives are read in place: unpack it with gunzip", source);
  return open_idx(source, options);
}

}  // namespace

std::unique_ptr<ImageSet> open_images(const std::string& source, const ImageSource& options) {
  try {
    return open_source(source, options);
  } catch (const fs::filesystem_error& e) {
    fail("cannot list {}: {}", e.path1().string(), e.code().message());
  }
}

void check_trainable(const ImageSet& set, int classes) {
  const auto has = static_cast<int>(set.classes().size());
  require(has >= 2, "{} has {} classes; a classifier needs two or more", set.source(), has);
  require(classes == 0 || has == classes, "{} has {} classes, the model {}", set.source(), has, classes);
  for (int64_t i = 0; i < set.size(); ++i) {
    const int label = set.label(i);
    require(label >= 0 && label < has, "{}: label {} is outside the {} classes", set.name(i), label, has);
  }
}

}  // namespace crate
