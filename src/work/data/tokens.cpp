#include "work/data/tokens.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

constexpr int32_t llmc_magic = 20240520, llmc_wide_magic = 20240801, llmc_version = 1;
constexpr std::size_t llmc_header = 256 * sizeof(int32_t);

std::span<const std::byte> payload(const MappedFile& file) {
  const auto bytes = file.bytes();
  std::array<int32_t, 3> head{};
  if (bytes.size() >= llmc_header) std::memcpy(head.data(), bytes.data(), sizeof(head));
  require(head[0] != llmc_wide_magic, "{}: an llm.c shard of 32-bit tokens; only 16-bit ones are read", file.path());
  if (head[0] == llmc_magic) {
    require(head[1] == llmc_version, "{}: version {} of llm.c's shards is not known (expected {})", file.path(),
            head[1], llmc_version);
    const auto data = bytes.subspan(llmc_header);
    require(head[2] >= 0 && data.size() == static_cast<std::size_t>(head[2]) * 2,
            "{}: its header promises {} tokens, the file holds {}; it was cut short, prepare it again", file.path(),
            head[2], data.size() / 2);
    return data;
  }
  require(bytes.size() % 2 == 0, "{}: not a token shard: an odd number of bytes", file.path());
  return bytes;
}

// Prepared folders say which tokenizer made them, and how many tokens each shard has.
void check_record(const fs::path& shard, int64_t count, const Tokenizer& tokenizer) {
  const fs::path record = shard.parent_path() / "data.json";
  if (!fs::exists(record)) return;
  const auto from = nlohmann::json::parse(read_text_file(record), nullptr, false);
  const auto text = [&](const char* key) {
    const auto it = from.find(key);
    return it != from.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  require(from.is_object(), "{} is damaged; prepare the data again", record.string());
  require(text("state") != "unfinished", "{} was interrupted while it was prepared; prepare the data again",
          record.string());
  require(text("tokenizer") == tokenizer.identity(),
          "{} was made with another tokenizer ({:.12}) than this model's ({:.12}); prepare the data with the model's "
          "tokenizer",
          shard.string(), text("tokenizer"), tokenizer.identity());
  const auto promised = from.find(shard.stem().string() + "_tokens");
  require(promised == from.end() || *promised == count,
          "{} holds {} tokens, {} promises {}; it was cut short, prepare the data again", shard.string(), count,
          record.string(), promised == from.end() ? "" : promised->dump());
}

bool is_shard(const std::string& path) { return path.ends_with(".bin"); }

// Of a folder's shards those of one part, by their names; all of them where no name tells.
std::vector<std::string> of_part(const std::vector<std::string>& shards, const std::string& part) {
  std::vector<std::string> out;
  bool told = false;
  for (const std::string& shard : shards) {
    const std::string name = fs::path(shard).filename();
    if (name.find("train") != std::string::npos || name.find("val") != std::string::npos) told = true;
    if (name.find(part) != std::string::npos) out.push_back(shard);
  }
  return told ? out : shards;
}

}  // namespace

Tokens Tokens::from_memory(std::vector<uint16_t> tokens, std::string name) {
  Tokens out;
  out.name_ = std::move(name);
  auto owner = std::make_shared<const std::vector<uint16_t>>(std::move(tokens));
  out.size_ = static_cast<int64_t>(owner->size());
  out.pieces_.push_back({owner, reinterpret_cast<const std::byte*>(owner->data()), 0, out.size_, out.name_});
  return out;
}

Tokens Tokens::from_shards(const std::vector<std::string>& paths, const Tokenizer& tokenizer) {
  require(!paths.empty(), "no token shards were named");
  Tokens out;
  out.name_ = paths.front();
  out.vocab_ = tokenizer.vocab_size();
  for (const std::string& path : paths) {
    auto file = std::make_shared<const MappedFile>(path);
    const auto data = payload(*file);
    const auto count = static_cast<int64_t>(data.size() / 2);
    check_record(path, count, tokenizer);
    out.pieces_.push_back({file, data.data(), out.size_, count, path});
    out.size_ += count;
  }
  return out;
}

Tokens Tokens::from_text(const std::vector<std::string>& files, const ReadOptions& options,
                         const Tokenizer& tokenizer) {
  require(!files.empty(), "no text files were named");
  require(tokenizer.vocab_size() <= 65536, "[tokens] a vocabulary of {} does not fit 16 bits", tokenizer.vocab_size());
  std::vector<uint16_t> all;
  std::vector<int32_t> some;
  bool at_start = true;
  read_documents(files, options, [&](std::string_view text, bool last) {
    some.clear();
    if (at_start) some.push_back(tokenizer.separator());
    tokenizer.encode(text, some);
    for (const int32_t t : some) all.push_back(static_cast<uint16_t>(t));
    at_start = last;
  });
  return from_memory(std::move(all), files.front());
}

void Tokens::copy(int64_t offset, int64_t n, int32_t* out) const {
  require(offset >= 0 && n >= 0 && offset + n <= size_, "[tokens] {}..{} lie outside the {} tokens of {}", offset,
          offset + n, size_, name_);
  int64_t at = begin_ + offset;
  auto piece =
      std::upper_bound(pieces_.begin(), pieces_.end(), at, [](int64_t i, const Piece& p) { return i < p.first; });
  if (n > 0) --piece;
  while (n > 0) {
    const int64_t take = std::min(n, piece->first + piece->count - at);
    for (int64_t i = 0; i < take; ++i) {
      uint16_t token;
      std::memcpy(&token, piece->data + 2 * (at - piece->first + i), 2);
      require(token < vocab_, "{}: token {} at {} lies outside the vocabulary of {}; prepare it with this tokenizer",
              piece->name, token, at - piece->first + i, vocab_);
      *out++ = token;
    }
    at += take;
    n -= take;
    ++piece;
  }
}

Tokens Tokens::slice(int64_t from, int64_t to) const {
  require(0 <= from && from <= to && to <= size_, "[tokens] {}..{} lie outside the {} tokens of {}", from, to, size_,
          name_);
  Tokens out = *this;
  out.begin_ = begin_ + from;
  out.size_ = to - from;
  return out;
}

Tokens open_tokens(const std::string& path, const std::string& part, const Tokenizer& tokenizer,
                   const ReadOptions& options) {
  const std::vector<std::string> files = list_files(path);
  std::vector<std::string> shards;
  std::copy_if(files.begin(), files.end(), std::back_inserter(shards), is_shard);
  if (fs::is_directory(path) && !shards.empty()) {
    shards = of_part(shards, part);
    require(!shards.empty(), "{} holds no {} shards", path, part);
  }
  if (!shards.empty()) return Tokens::from_shards(shards, tokenizer);
  require(!fs::exists(fs::path(path) / "data.json"), "{} holds no shards; prepare the data again", path);
  return Tokens::from_text(files, options, tokenizer);
}

void check_length(const Tokens& tokens, int64_t context) {
  require(tokens.size() > 0, "{} is empty: there is nothing to learn from or to evaluate", tokens.name());
  require(tokens.size() > context,
          "{} has {} tokens, fewer than one context of {} and its last target; use more text or a shorter context",
          tokens.name(), tokens.size(), context);
}

ShardWriter::ShardWriter(const std::string& path, ShardFormat format)
    : path_(path), format_(format), file_(std::make_unique<AtomicFile>(path)) {
  // llm.c's header holds the count, which is known at the end
  if (format == ShardFormat::llmc) file_->write(std::string(llmc_header, '\0'));
}

void ShardWriter::write(const std::vector<int32_t>& tokens) {
  std::vector<uint16_t> narrow;
  narrow.reserve(tokens.size());
  for (const int32_t t : tokens) {
    require(t >= 0 && t < 65536, "{}: token {} does not fit the 16 bits of a shard", path_, t);
    narrow.push_back(static_cast<uint16_t>(t));
  }
  count_ += static_cast<int64_t>(tokens.size());
  file_->write(std::as_bytes(std::span(narrow)));
}

void ShardWriter::commit() {
  if (format_ == ShardFormat::llmc) {
    require(count_ <= INT32_MAX, "{}: {} tokens are too many for one llm.c shard; write several", path_, count_);
    std::array<int32_t, 256> head{};
    head[0] = llmc_magic;
    head[1] = llmc_version;
    head[2] = static_cast<int32_t>(count_);
    file_->overwrite(0, std::as_bytes(std::span(head)));
  }
  file_->commit();
}

}  // namespace crate
