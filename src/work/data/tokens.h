// tokens: a corpus as one long array of tokens, in memory or in mapped shards.
// A shard is a file of little-endian uint16: nanoGPT's (nothing else in it) or llm.c's (after a header of 256 int32:
// 20240520, 1, number of tokens). Both are recognised; a corpus may be larger than memory.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "work/data/reader.h"
#include "work/data/tokenizer.h"

namespace crate {

class Tokens {
 public:
  /// Shards of one corpus in order. Throws Error when a file is no shard, was cut short, or was made with another
  /// tokenizer than `tokenizer` (recorded beside prepared shards in data.json).
  static Tokens from_shards(const std::vector<std::string>& paths, const Tokenizer& tokenizer);
  /// Texts, encoded now; a separator stands before each document.
  static Tokens from_text(const std::vector<std::string>& files, const ReadOptions& options,
                          const Tokenizer& tokenizer);
  /// Already encoded.
  static Tokens from_memory(std::vector<uint16_t> tokens, std::string name);

  int64_t size() const { return size_; }
  /// Tokens offset .. offset + n - 1. Throws Error outside the corpus, or on a token that the tokenizer does not have.
  void copy(int64_t offset, int64_t n, int32_t* out) const;
  /// A view of part of the corpus that shares its memory.
  Tokens slice(int64_t from, int64_t to) const;
  const std::string& name() const { return name_; }

 private:
  struct Piece {
    std::shared_ptr<const void> owner;
    const std::byte* data;  // uint16, perhaps unaligned
    int64_t first, count;
    std::string name;
  };
  std::vector<Piece> pieces_;
  int64_t begin_ = 0, size_ = 0;
  int64_t vocab_ = 65536;  // of the tokenizer; shards come from anywhere
  std::string name_;
};

/// Opens what a recipe or a command names: shards (*.bin or a folder of them, such as a prepared one; of shards with
/// "train" or "val" in their names those of `part` are taken), or texts; also by a pattern such as "web_train_*.bin".
/// Throws Error when nothing is there.
Tokens open_tokens(const std::string& path, const std::string& part, const Tokenizer& tokenizer,
                   const ReadOptions& options = {});

/// Throws Error when the corpus is empty or shorter than one context and its last target.
void check_length(const Tokens& tokens, int64_t context);

enum class ShardFormat : uint8_t { nanogpt, llmc };

/// Writes one shard; atomic at commit().
class ShardWriter {
 public:
  ShardWriter(const std::string& path, ShardFormat format);
  /// Throws Error on a token that does not fit 16 bits.
  void write(const std::vector<int32_t>& tokens);
  void commit();
  int64_t count() const { return count_; }

 private:
  std::string path_;
  ShardFormat format_;
  std::unique_ptr<AtomicFile> file_;
  int64_t count_ = 0;
};

}  // namespace crate
