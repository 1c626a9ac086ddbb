// prepare: texts to token shards in a folder: train.bin, val.bin, data.json (what made them), tokenizer.json.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "work/data/reader.h"
#include "work/data/tokens.h"

namespace crate {

struct PrepareOptions {
  std::vector<std::string> train;  // files or folders
  std::vector<std::string> val;    // the same; empty: every 1 / val_fraction-th document of train
  double val_fraction = 0.01;
  std::string tokenizer = "bytes";  // as load_tokenizer takes it
  int64_t train_vocab = 0;          // > 0: learn a new BPE vocabulary of this size from train instead
  ReadOptions reading;
  ShardFormat format = ShardFormat::nanogpt;
  std::string out;
  bool force = false;  // overwrite a prepared folder
};

struct PrepareResult {
  std::string tokenizer;  // its identity
  int64_t vocab = 0;
  int64_t train_tokens = 0, val_tokens = 0;
  int64_t train_bytes = 0, val_bytes = 0, documents = 0;
};

struct PrepareProgress {
  const char* phase;  // "vocabulary", "merges", "train", "val"
  double done, total;
};

/// Streams: memory holds one document at a time. Throws Error and leaves the folder as it was when a text cannot be
/// read or the disk is full; a folder whose renaming was interrupted says so in data.json and is refused.
PrepareResult prepare(const PrepareOptions& options, const std::function<void(const PrepareProgress&)>& progress = {});

}  // namespace crate
