// directory: several files that change together or not at all.
//
// Each file is first written and synced as NAME.new. The rename of complete.json, which lists the SHA-256 of every file
// of the new generation, is the moment of commitment; then each NAME.new becomes NAME. A process killed before that
// moment leaves the old generation, one killed after it leaves the new one: a reader that finds a NAME with another
// hash takes the NAME.new that has the right one. A directory without complete.json was never finished and is never
// loaded.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/files/safetensors.h"

namespace crate {

class DirectoryWriter {
 public:
  /// Creates the folder if needed, finishes a commit that was interrupted and clears away what a killed process left.
  /// One writer at a time. Throws Error.
  explicit DirectoryWriter(const std::string& folder);

  void text(const std::string& name, std::string_view content);
  void tensors(const std::string& name, const std::vector<TensorToWrite>& tensors,
               const std::map<std::string, std::string>& metadata = {});
  /// The coming generation begins empty: files of the one before that are not written again will be deleted. Without
  /// this they stay part of the directory.
  void replace_all();
  void commit();

 private:
  void note(const std::string& name);
  std::string folder_;
  std::map<std::string, std::string> hashes_;  // of all files of the coming generation
  std::vector<std::string> written_;
  std::vector<std::string> dropped_;
};

/// The committed files of a directory.
class DirectoryReader {
 public:
  /// Throws Error when the directory is absent or was never completed.
  explicit DirectoryReader(const std::string& folder);

  bool has(const std::string& name) const { return hashes_.contains(name); }
  /// Of all files, sorted.
  std::vector<std::string> names() const;
  /// Path of the committed version, verified against its hash. Throws Error naming file and remedy.
  std::string path(const std::string& name) const;
  const std::string& hash(const std::string& name) const;
  const std::string& folder() const { return folder_; }
  /// True when a writer has committed another generation since this reader looked.
  bool is_outdated() const;

 private:
  std::string folder_;
  std::map<std::string, std::string> hashes_;
};

/// True when the folder holds a completed directory.
bool is_complete_directory(const std::string& folder);

}  // namespace crate
