// reader: documents out of plain text, .gz, .xz and .zst files and of JSON lines, streamed in bounded memory.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace crate {

struct ReadOptions {
  std::string json_field = "text";  // of .jsonl (also compressed): one record, one document
  /// Plain text: a line that begins with this starts a new document ("= " for Wikipedia's titles); empty: a file is one
  /// document.
  std::string document_prefix = {};
};

struct ReadProgress {
  uint64_t bytes_read = 0;  // of the files as they lie on disk
  uint64_t bytes_total = 0;
};

/// Calls `document` for each document of each file in order, `progress` now and then. A document longer than 64 MiB is
/// handed over in pieces, cut at a line; `last` tells the final piece. Throws Error naming the file when it is missing,
/// damaged or cut short.
void read_documents(const std::vector<std::string>& files, const ReadOptions& options,
                    const std::function<void(std::string_view text, bool last)>& document,
                    const std::function<void(const ReadProgress&)>& progress = {});

/// The file itself, the files under a folder but hidden ones, or those that a pattern with * ? [ ] names; sorted by
/// name. Throws Error when there is none.
std::vector<std::string> list_files(const std::string& path);

/// Decompressed bytes of one file in pieces, by its suffix. Throws Error naming the file.
void read_bytes(const std::string& path, const std::function<void(std::string_view piece, uint64_t disk_bytes)>& sink);

}  // namespace crate
