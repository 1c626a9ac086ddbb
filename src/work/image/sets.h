// sets: how each kind of source of set.h is opened.
#pragma once
#include "work/image/set.h"

namespace crate {

/// A folder or tar of class folders, or of images alone.
std::unique_ptr<ImageSet> open_tree(const std::string& source, const ImageSource& options);
/// Lines of path<TAB>label.
std::unique_ptr<ImageSet> open_list(const std::string& source, const ImageSource& options);
std::unique_ptr<ImageSet> open_single(const std::string& source, const ImageSource& options);
/// JPEGImages and SegmentationClass.
std::unique_ptr<ImageSet> open_voc(const std::string& source, const ImageSource& options);
/// The file of images; that of labels is found by its name.
std::unique_ptr<ImageSet> open_idx(const std::string& source, const ImageSource& options);
/// Records of CIFAR-10 (3073 bytes) or CIFAR-100 (3074 bytes), all files of one kind; labels as in `names_file` beside
/// them.
std::unique_ptr<ImageSet> open_cifar(const std::vector<std::string>& files, const ImageSource& options);

/// A file of images in a folder, by MNIST's names; empty when there is none.
std::string find_idx(const std::string& folder, const std::string& split);
/// The CIFAR files of a folder; empty when there are none.
std::vector<std::string> find_cifar(const std::string& folder, const std::string& split);

/// Whether a file may be an image, by its suffix: what lies beside images (notes, lists) is passed over.
bool has_image_suffix(const std::string& path);

}  // namespace crate
