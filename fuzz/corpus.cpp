// Any bytes as a corpus: a text, JSON lines, either compressed, or a token shard. An Error, or tokens that read back.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "work/data/tokens.h"

namespace {

constexpr std::array<const char*, 8> suffixes = {".txt", ".jsonl",     ".txt.gz",   ".txt.xz",
                                                 ".zst", ".jsonl.zst", ".jsonl.gz", ".bin"};
constexpr int64_t longest = 1 << 22;  // a few bytes may unpack to many

void read_back(const crate::Tokens& tokens) {
  std::vector<int32_t> all(static_cast<std::size_t>(std::min(longest, tokens.size())));
  tokens.copy(tokens.size() - static_cast<int64_t>(all.size()), static_cast<int64_t>(all.size()), all.data());
  for (const int32_t token : all) {
    if (token < 0 || token > 256) std::abort();
  }
}

}  // namespace

// The first byte chooses what the rest is taken for.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  static const auto tokenizer = crate::byte_tokenizer();
  static const std::string stem =
      (std::filesystem::temp_directory_path() / fmt::format("crate_fuzz_corpus_{}", getpid())).string();
  const std::string path = stem + suffixes[data[0] % suffixes.size()];
  try {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(data) + 1, static_cast<std::streamsize>(size - 1));
    read_back(crate::open_tokens(path, "train", *tokenizer, {.document_prefix = "= "}));
  } catch (const crate::Error&) {
  }
  std::filesystem::remove(path);
  return 0;
}
