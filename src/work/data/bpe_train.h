// bpe_train: learns a byte-level BPE vocabulary from texts.
// The words of the corpus are counted once; then, over and over, the most frequent adjacent pair becomes a token (the
// earlier-made pair wins a tie), and only the words that hold the pair are touched.
#pragma once
#include <functional>
#include <memory>
#include <string_view>

#include "work/data/tokenizer.h"

namespace crate {

using TextSink = std::function<void(std::string_view text)>;

/// `corpus` hands each text to the sink once. vocab_size >= 257: 256 bytes, the merges, and <|endoftext|> as the last
/// token. Fewer tokens come out when the corpus has no pair left that occurs twice. Throws Error on an empty corpus.
/// `progress(done, total)` counts merges.
std::unique_ptr<Tokenizer> train_bpe(const std::function<void(const TextSink&)>& corpus, int64_t vocab_size,
                                     const std::function<void(int64_t, int64_t)>& progress = {});

}  // namespace crate
