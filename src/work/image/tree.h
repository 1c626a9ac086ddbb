// tree: files under a folder or in a tar, by relative path, read in place through a memory map.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace crate {

class FileTree {
 public:
  struct File {
    std::string path;  // from the root, parts separated by '/'
    uint64_t offset = 0, size = 0;
  };

  /// Hidden files and folders are left out, and a tar's only top folder is its root. `split` chooses a folder of the
  /// root (see ImageSource); files beside the chosen folder stay visible through root_file().
  static FileTree open(const std::string& path, const std::string& split);

  /// Sorted by path.
  const std::vector<File>& files() const { return files_; }
  /// Folders directly under the root, sorted, also empty ones.
  const std::vector<std::string>& folders() const { return folders_; }
  std::string name(const File& file) const;
  void read(const File& file, const std::function<void(std::span<const std::byte>)>& use) const;
  /// The text of a file in the chosen folder or else beside it; empty when there is none.
  std::string root_file(const std::string& name) const;

 private:
  static FileTree of_folder(const std::string& path, const std::string& split);
  static FileTree of_tar(const std::string& path, const std::string& split);

  std::string path_;    // of the folder or the archive
  std::string prefix_;  // from there to the root: "" or "train/"
  std::vector<File> files_, beside_;
  std::vector<std::string> folders_;
  std::shared_ptr<const MappedFile> archive_;  // none: a folder
};

/// Which of the folders is the split, by its name or a usual other one; empty when none of them is any split. Throws
/// Error when others are but not this, or when there are splits and none is asked for.
std::string choose_split(const std::vector<std::string>& folders, const std::string& split, const std::string& where);

}  // namespace crate
