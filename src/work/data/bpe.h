// bpe: byte-level byte-pair encoding as GPT-2 does it (Radford et al. 2019; Sennrich et al., arXiv 1508.07909).
// A text is cut into words by GPT-2's pattern (split.h); each word starts as its bytes, and the adjacent pair that was
// merged earliest in training is merged until no known pair is left.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "work/data/tokenizer.h"

namespace crate {

/// A vocabulary in the making: token -> bytes, and the merges in order of rank.
struct BpeModel {
  std::vector<std::string> pieces;  // by token number
  std::vector<std::pair<std::string, std::string>> merges;
  std::string separator = "<|endoftext|>";  // its piece; must be among `pieces`
};

/// Throws Error when the model does not hold together (a merge of unknown pieces, a missing byte, ...).
std::unique_ptr<Tokenizer> make_bpe(BpeModel model, const std::string& where);

/// Hugging Face tokenizer.json with a byte-level BPE model. Refuses what it does not implement, by name.
std::unique_ptr<Tokenizer> read_tokenizer_json(const std::string& path);
std::unique_ptr<Tokenizer> parse_tokenizer_json(std::string_view text, const std::string& where);
/// OpenAI's pair of files.
std::unique_ptr<Tokenizer> read_openai_bpe(const std::string& encoder_json, const std::string& vocab_bpe);
std::unique_ptr<Tokenizer> parse_openai_bpe(std::string_view encoder_json, std::string_view vocab_bpe,
                                            const std::string& where);
/// The same model as Hugging Face's tokenizer.json.
std::string tokenizer_json(const BpeModel& model);

}  // namespace crate
