#include "work/data/reader.h"

#include <glob.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr std::size_t longest_piece = std::size_t{64} << 20, longest_record = std::size_t{1} << 30;

bool is_json_lines(std::string path) {
  for (const char* suffix : {".gz", ".xz", ".zst"}) {
    if (path.ends_with(suffix)) path.resize(path.size() - std::string_view(suffix).size());
  }
  return path.ends_with(".jsonl") || path.ends_with(".ndjson");
}

// Gathers lines into documents.
class Documents {
 public:
  using Sink = std::function<void(std::string_view, bool)>;
  Documents(const std::string& path, const ReadOptions& options, const Sink& sink)
      : path_(path), options_(options), sink_(sink), json_(is_json_lines(path)) {}

  void take(std::string_view piece) {
    while (!piece.empty()) {
      const std::size_t end = piece.find('\n');
      if (end == std::string_view::npos) {
        line_ += piece;
        require(!json_ || line_.size() < longest_record, "{}: line {} is longer than 1 GiB; not JSON lines", path_,
                number_ + 1);
        if (!json_ && line_.size() >= longest_piece) flush_line();  // a text without line ends
        return;
      }
      line_ += piece.substr(0, end + 1);
      piece.remove_prefix(end + 1);
      flush_line();
    }
  }

  void finish() {
    if (!line_.empty()) flush_line();
    if (!json_ && (!text_.empty() || open_)) close();
  }

 private:
  void flush_line() {
    ++number_;
    if (json_) {
      record();
    } else {
      if (!options_.document_prefix.empty() && line_.starts_with(options_.document_prefix) && (!text_.empty() || open_))
        close();
      text_ += line_;
      if (text_.size() >= longest_piece) {
        sink_(text_, false);
        open_ = true;
        text_.clear();
      }
    }
    line_.clear();
  }

  void close() {
    sink_(text_, true);
    text_.clear();
    open_ = false;
  }

  void record() {
    if (std::all_of(line_.begin(), line_.end(), [](unsigned char c) { return std::isspace(c); })) return;
    const json from = json::parse(line_, nullptr, false);
    require(from.is_object(), "{}: line {} is not a JSON object", path_, number_);
    const auto it = from.find(options_.json_field);
    require(it != from.end() && it->is_string(),
            "{}: line {} has no text field '{}'; name the field that holds the text", path_, number_,
            options_.json_field);
    sink_(it->get_ref<const std::string&>(), true);
  }

  std::string path_;
  const ReadOptions& options_;
  const Sink& sink_;
  bool json_;
  bool open_ = false;  // pieces of the current document were handed over already
  std::string line_, text_;
  uint64_t number_ = 0;
};

std::vector<std::string> matching_files(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> files;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  require(!files.empty(), "no data at {}: expected a text file, a .bin shard, or a folder of them", pattern);
  return files;
}

}  // namespace

std::vector<std::string> list_files(const std::string& path) {
  namespace fs = std::filesystem;
  if (!fs::exists(path)) return matching_files(path);
  if (!fs::is_directory(path)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file() && !entry.path().filename().string().starts_with('.')) files.push_back(entry.path());
  }
  require(!files.empty(), "the folder {} holds no files", path);
  std::sort(files.begin(), files.end());
  return files;
}

void read_documents(const std::vector<std::string>& files, const ReadOptions& options,
                    const std::function<void(std::string_view, bool)>& document,
                    const std::function<void(const ReadProgress&)>& progress) {
  ReadProgress state;
  for (const std::string& path : files) {
    std::error_code error;
    state.bytes_total += std::filesystem::file_size(path, error);
    require(!error, "cannot read {}: {}", path, error.message());
  }
  for (const std::string& path : files) {
    Documents documents(path, options, document);
    const uint64_t before = state.bytes_read;
    read_bytes(path, [&](std::string_view piece, uint64_t disk_bytes) {
      documents.take(piece);
      state.bytes_read = before + disk_bytes;
      if (progress) progress(state);
    });
    documents.finish();
    state.bytes_read = before + std::filesystem::file_size(path);
    if (progress) progress(state);
  }
}

}  // namespace crate
