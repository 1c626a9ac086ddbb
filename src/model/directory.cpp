#include "model/directory.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"

namespace crate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* mark = "complete.json";

std::string in(const std::string& folder, const std::string& name) { return (fs::path(folder) / name).string(); }

bool matches(const std::string& path, const std::string& hash) {
  return fs::is_regular_file(path) && sha256_file(path) == hash;
}

std::map<std::string, std::string> read_mark(const std::string& folder) {
  const std::string path = in(folder, mark);
  const json from = json::parse(read_text_file(path), nullptr, false);
  require(from.is_object() && from.contains("files") && from["files"].is_object(),
          "{} is damaged; restore it from a copy, or train again", path);
  std::map<std::string, std::string> hashes;
  for (const auto& [name, hash] : from["files"].items()) {
    require(hash.is_string() && fs::path(name).filename() == name,
            "{} is damaged; restore it from a copy, or train again", path);
    hashes[name] = hash.get<std::string>();
  }
  return hashes;
}

// The second half of a commit that was cut short.
void finish_renames(const std::string& folder, const std::map<std::string, std::string>& hashes) {
  for (const auto& [name, hash] : hashes) {
    const std::string fresh = in(folder, name) + ".new";
    if (!fs::exists(fresh)) continue;
    if (!matches(in(folder, name), hash) && matches(fresh, hash)) rename_durably(fresh, in(folder, name));
  }
}

// "NAME.new.123.tmp", "complete.json.123.tmp": what a process leaves when it is killed while it writes.
void clear_leftovers(const std::string& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path name = entry.path().filename();
    const fs::path target = name.stem().stem();
    const bool ours = target == mark || target.extension() == ".new";
    if (name.extension() == ".tmp" && ours && entry.is_regular_file()) fs::remove(entry.path());
  }
}

}  // namespace

bool is_complete_directory(const std::string& folder) { return fs::is_regular_file(in(folder, mark)); }

DirectoryWriter::DirectoryWriter(const std::string& folder) : folder_(folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, "cannot create the folder {}: {}", folder, error.message());
  clear_leftovers(folder);
  if (!is_complete_directory(folder)) return;
  hashes_ = read_mark(folder);
  finish_renames(folder, hashes_);
}

void DirectoryWriter::note(const std::string& name) {
  hashes_[name] = sha256_file(in(folder_, name) + ".new");
  written_.push_back(name);
}

void DirectoryWriter::text(const std::string& name, std::string_view content) {
  write_atomically(in(folder_, name) + ".new", content);
  note(name);
}

void DirectoryWriter::tensors(const std::string& name, const std::vector<TensorToWrite>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  write_safetensors(in(folder_, name) + ".new", tensors, metadata);
  note(name);
}

void DirectoryWriter::replace_all() {
  for (const auto& [name, hash] : std::exchange(hashes_, {})) dropped_.push_back(name);
}

void DirectoryWriter::commit() {
  write_atomically(in(folder_, mark), json({{"format", "crate"}, {"files", hashes_}}).dump(2) + "\n");
  for (const std::string& name : written_) rename_durably(in(folder_, name) + ".new", in(folder_, name));
  written_.clear();
  for (const std::string& name : std::exchange(dropped_, {})) {
    if (!hashes_.contains(name)) fs::remove(in(folder_, name));
  }
}

DirectoryReader::DirectoryReader(const std::string& folder) : folder_(folder) {
  require(fs::is_directory(folder), "no model directory {}", folder);
  require(is_complete_directory(folder),
          "{} is not a complete model directory: it has no {}; was its training or import cut short?", folder, mark);
  hashes_ = read_mark(folder);
}

std::vector<std::string> DirectoryReader::names() const {
  std::vector<std::string> out;
  for (const auto& [name, hash] : hashes_) out.push_back(name);
  return out;
}

bool DirectoryReader::is_outdated() const { return read_mark(folder_) != hashes_; }

const std::string& DirectoryReader::hash(const std::string& name) const {
  const auto it = hashes_.find(name);
  require(it != hashes_.end(), "{} has no {}", folder_, name);
  return it->second;
}

std::string DirectoryReader::path(const std::string& name) const {
  const std::string &expected = hash(name), usual = in(folder_, name), fresh = usual + ".new";
  if (matches(usual, expected)) return usual;
  try {
    if (matches(fresh, expected)) return fresh;
  } catch (const Error&) {  // it was renamed while we looked
  }
  if (matches(usual, expected)) return usual;
  fail("{} {}: restore it from a copy, or train again", usual,
       fs::exists(usual) ? "does not have the hash recorded when it was written (damaged or changed)" : "is missing");
}

}  // namespace crate
