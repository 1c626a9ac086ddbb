#include "work/data/prepare.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "work/data/bpe_train.h"

namespace crate {
namespace {

namespace fs = std::filesystem;
using Report = std::function<void(const PrepareProgress&)>;

std::vector<std::string> all_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    const auto more = list_files(path);
    files.insert(files.end(), more.begin(), more.end());
  }
  return files;
}

std::function<void(const ReadProgress&)> forward(const Report& report, const char* phase) {
  if (!report) return {};
  return [&report, phase](const ReadProgress& p) {
    report({phase, static_cast<double>(p.bytes_read), static_cast<double>(p.bytes_total)});
  };
}

std::unique_ptr<Tokenizer> learn(const PrepareOptions& o, const Report& report) {
  return train_bpe(
      [&](const TextSink& sink) {
        read_documents(
            all_files(o.train), o.reading, [&](std::string_view text, bool) { sink(text); },
            forward(report, "vocabulary"));
      },
      o.train_vocab,
      [&](int64_t done, int64_t total) {
        if (report) report({"merges", static_cast<double>(done), static_cast<double>(total)});
      });
}

class Preparer {
 public:
  Preparer(const PrepareOptions& o, const Tokenizer& tokenizer)
      : o_(o),
        tokenizer_(tokenizer),
        train_((fs::path(o.out) / "train.bin").string(), o.format),
        val_((fs::path(o.out) / "val.bin").string(), o.format),
        val_every_(o.val.empty() ? static_cast<int64_t>(std::lround(1 / o.val_fraction)) : 0) {}

  PrepareResult run(const Report& report) {
    read(o_.train, report, "train");
    if (!o_.val.empty()) read(o_.val, report, "val");
    require(result_.train_tokens > 0, "{} is empty: there is nothing to learn from", o_.train.front());
    require(
        result_.val_tokens > 0 || result_.documents > 1,
        "{} is one document, so none is left for validation; give a text with --val, or tell with --document-prefix "
        "how its documents begin",
        o_.train.front());
    require(
        result_.val_tokens > 0,
        "no document is left for validation: {} documents, every {}th is kept; give --val or a larger --val-fraction",
        result_.documents, val_every_);
    result_.tokenizer = tokenizer_.identity();
    result_.vocab = tokenizer_.vocab_size();
    return result_;
  }

  void commit() {
    train_.commit();
    val_.commit();
  }

 private:
  void read(const std::vector<std::string>& paths, const Report& report, const char* part) {
    bool first_piece = true;
    read_documents(
        all_files(paths), o_.reading,
        [&](std::string_view text, bool last) {
          const bool for_val =
              o_.val.empty() ? val_every_ > 0 && result_.documents % val_every_ == val_every_ - 1 : part[0] == 'v';
          take(text, for_val, first_piece);
          first_piece = last;
          if (last) ++result_.documents;
        },
        forward(report, part));
  }

  void take(std::string_view text, bool for_val, bool first_piece) {
    tokens_.clear();
    if (first_piece) tokens_.push_back(tokenizer_.separator());
    tokenizer_.encode(text, tokens_);
    (for_val ? val_ : train_).write(tokens_);
    (for_val ? result_.val_tokens : result_.train_tokens) += static_cast<int64_t>(tokens_.size());
    (for_val ? result_.val_bytes : result_.train_bytes) += static_cast<int64_t>(text.size());
  }

  const PrepareOptions& o_;
  const Tokenizer& tokenizer_;
  ShardWriter train_, val_;
  int64_t val_every_;
  std::vector<int32_t> tokens_;
  PrepareResult result_;
};

void write_record(const std::string& path, const PrepareResult& r, const std::string& kind) {
  const nlohmann::json about = {
      {"format", "crate tokens"},   {"tokenizer", r.tokenizer},     {"kind", kind},
      {"vocab", r.vocab},           {"documents", r.documents},     {"train_tokens", r.train_tokens},
      {"val_tokens", r.val_tokens}, {"train_bytes", r.train_bytes}, {"val_bytes", r.val_bytes}};
  write_atomically(path, about.dump(2) + "\n");
}

void write_vocabulary(const std::string& path, const Tokenizer& tokenizer) {
  if (const std::string json = tokenizer.to_json(); !json.empty()) return write_atomically(path, json);
  std::error_code error;
  fs::remove(path, error);  // of an earlier preparation
  require(!error, "cannot remove {}: {}", path, error.message());
}

}  // namespace

PrepareResult prepare(const PrepareOptions& o, const Report& report) {
  require(!o.train.empty(), "[prepare] no text was named");
  require(o.val_fraction > 0 && o.val_fraction <= 0.5,
          "[prepare] the validation fraction must lie in (0, 0.5], came {}", o.val_fraction);
  const fs::path record = fs::path(o.out) / "data.json";
  require(o.force || !fs::exists(record),
          "{} holds prepared data already; give --force to replace it, or another --out", o.out);
  std::error_code error;
  fs::create_directories(o.out, error);
  require(!error, "cannot create the folder {}: {}", o.out, error.message());
  const auto tokenizer = o.train_vocab > 0 ? learn(o, report) : load_tokenizer(o.tokenizer);
  require(tokenizer->vocab_size() <= 65536, "a vocabulary of {} does not fit the 16 bits of a shard",
          tokenizer->vocab_size());
  Preparer preparer(o, *tokenizer);
  const PrepareResult result = preparer.run(report);
  // from here on the folder changes: until the record is written it says so itself
  write_atomically(record.string(), std::string_view("{\"format\": \"crate tokens\", \"state\": \"unfinished\"}\n"));
  preparer.commit();
  write_vocabulary((fs::path(o.out) / "tokenizer.json").string(), *tokenizer);
  write_record(record.string(), result, tokenizer->kind());
  return result;
}

}  // namespace crate
