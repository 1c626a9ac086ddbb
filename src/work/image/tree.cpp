#include "work/image/tree.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string_view>

#include "base/error.h"
#include "work/image/tar.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 2> train_names = {"train", "training"};
constexpr std::array<std::string_view, 4> val_names = {"val", "valid", "validation", "test"};
constexpr std::array<std::string_view, 4> test_names = {"test", "val", "valid", "validation"};

std::span<const std::string_view> names_of(const std::string& split) {
  if (split == "train") return train_names;
  if (split == "val") return val_names;
  if (split == "test") return test_names;
  fail("[images] split must be train, val or test, came '{}'", split);
}

bool is_split(const std::string& name) {
  return std::find(train_names.begin(), train_names.end(), name) != train_names.end() ||
         std::find(val_names.begin(), val_names.end(), name) != val_names.end();
}

bool hidden(std::string_view path) { return path.starts_with('.') || path.find("/.") != std::string_view::npos; }

/// "a/b/c" to "a".
std::string first_part(const std::string& path) { return path.substr(0, path.find('/')); }

std::vector<std::string> folders_in(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename();
    if (entry.is_directory() && !hidden(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// The one folder that everything in the archive lies in, with its '/'; empty when there are several.
std::string only_folder(const std::vector<TarEntry>& entries) {
  std::string top;
  for (const TarEntry& e : entries) {
    const std::string part = first_part(e.path);
    if (part == e.path && !e.folder) return "";  // a file at the top
    if (top.empty()) top = part;
    if (part != top) return "";
  }
  return is_split(top) ? "" : top + "/";
}

}  // namespace

std::string choose_split(const std::vector<std::string>& folders, const std::string& split, const std::string& where) {
  std::vector<std::string> there;
  std::copy_if(folders.begin(), folders.end(), std::back_inserter(there), is_split);
  if (there.empty()) return "";
  require(!split.empty(), "{} has the parts {}: choose one with split", where, fmt::join(there, ", "));
  for (const std::string_view name : names_of(split)) {
    if (std::find(there.begin(), there.end(), name) != there.end()) return std::string(name);
  }
  fail("{} has no part {}, only {}", where, split, fmt::join(there, ", "));
}

FileTree FileTree::open(const std::string& path, const std::string& split) {
  if (!split.empty()) names_of(split);
  FileTree tree = fs::is_directory(path) ? of_folder(path, split) : of_tar(path, split);
  std::sort(tree.files_.begin(), tree.files_.end(), [](const File& a, const File& b) { return a.path < b.path; });
  return tree;
}

FileTree FileTree::of_folder(const std::string& path, const std::string& split) {
  FileTree tree;
  tree.path_ = path;
  const std::string part = choose_split(folders_in(path), split, path);
  if (!part.empty()) tree.prefix_ = part + "/";
  const fs::path root = fs::path(path) / part;
  tree.folders_ = folders_in(root);
  const std::size_t skip = (root / "").generic_string().size();
  for (const auto& entry : fs::recursive_directory_iterator(root, fs::directory_options::follow_directory_symlink)) {
    const std::string relative = entry.path().generic_string().substr(skip);
    if (!hidden(relative) && entry.is_regular_file()) tree.files_.push_back({relative, 0, 0});
  }
  return tree;
}

FileTree FileTree::of_tar(const std::string& path, const std::string& split) {
  FileTree tree;
  tree.path_ = path;
  tree.archive_ = std::make_shared<MappedFile>(path);
  std::vector<TarEntry> entries;
  try {
    entries = tar_entries(tree.archive_->bytes());
  } catch (const Error& e) {
    fail("{}: {}", path, e.what());
  }
  std::erase_if(entries, [](const TarEntry& e) { return hidden(e.path); });
  const std::string top = only_folder(entries);
  std::set<std::string> tops;
  for (TarEntry& e : entries) {
    e.path.erase(0, std::min(e.path.size(), top.size()));
    if (e.folder || e.path.find('/') != std::string::npos) tops.insert(first_part(e.path));
  }
  tops.erase("");
  const std::string part = choose_split({tops.begin(), tops.end()}, split, path);
  tree.prefix_ = part.empty() ? top : top + part + "/";
  const std::string inside = part.empty() ? "" : part + "/";
  std::set<std::string> folders;
  for (const TarEntry& e : entries) {
    const bool chosen = e.path.starts_with(inside);
    const std::string relative = chosen ? e.path.substr(inside.size()) : e.path;
    if (relative.empty()) continue;
    if (chosen && (e.folder || relative.find('/') != std::string::npos)) folders.insert(first_part(relative));
    if (!e.folder && (chosen || relative.find('/') == std::string::npos))
      (chosen ? tree.files_ : tree.beside_).push_back({relative, e.offset, e.size});
  }
  tree.folders_.assign(folders.begin(), folders.end());
  return tree;
}

std::string FileTree::name(const File& file) const {
  return archive_ ? fmt::format("{}:{}{}", path_, prefix_, file.path)
                  : (fs::path(path_) / (prefix_ + file.path)).string();
}

void FileTree::read(const File& file, const std::function<void(std::span<const std::byte>)>& use) const {
  if (archive_) return use(archive_->bytes().subspan(file.offset, file.size));
  const MappedFile map(name(file));
  use(map.bytes());
}

std::string FileTree::root_file(const std::string& name) const {
  if (archive_) {
    for (const auto* files : {&files_, &beside_}) {
      for (const File& file : *files) {
        if (file.path != name) continue;
        const auto bytes = archive_->bytes().subspan(file.offset, file.size);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
      }
    }
    return "";
  }
  for (const fs::path& folder : {fs::path(path_) / prefix_, fs::path(path_)}) {
    if (fs::is_regular_file(folder / name)) return read_text_file((folder / name).string());
  }
  return "";
}

}  // namespace crate
