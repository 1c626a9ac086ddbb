// features: what can be said of a token without a language model.
//
// Every feature holds or does not hold at a token and has a short name: how it is written ("Capitalised word", "-ing",
// "comma"), where it stands ("begins a sentence", "first 8 of the document"), which grammatical word it is
// ("preposition"), which concept of an inventory its word belongs to ("noun.animal"), and the same of the token before
// it ("after a preposition"). Pieces of BPE are joined: the word of a token is the longest run of letters around the
// end of its letters, whatever tokens it spans.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "work/atoms/wordnet.h"
#include "work/data/tokenizer.h"

namespace crate {

/// Features of consecutive tokens: those of token i are ids[begin[i]] .. ids[begin[i + 1] - 1], ascending.
struct FeatureList {
  std::vector<int32_t> begin = {0}, ids;
  int64_t size() const { return static_cast<int64_t>(begin.size()) - 1; }
  std::span<const int32_t> of(int64_t i) const {
    const auto lo = static_cast<std::size_t>(begin[static_cast<std::size_t>(i)]);
    return {ids.data() + lo, static_cast<std::size_t>(begin[static_cast<std::size_t>(i) + 1]) - lo};
  }
};

class Features {
 public:
  Features(const Tokenizer& tokenizer, std::unique_ptr<Inventory> inventory);

  /// How many there are by now; concepts may join as words are met.
  int64_t size() const { return own_ + static_cast<int64_t>(inventory_->concepts().size()); }
  std::string name(int32_t feature) const;
  bool is_concept(int32_t feature) const { return feature >= own_; }

  /// Of the tokens of one section of a document, whose first token is number `in_document` of the document and number
  /// `in_window` of what the model reads at once.
  FeatureList of(std::span<const int32_t> tokens, int64_t in_document, int64_t in_window);

 private:
  struct Text;
  struct WordFeatures {
    std::vector<int32_t> ids;    // of the word itself
    std::vector<int32_t> after;  // what the next token says of it
  };
  int32_t number(const std::string& name) const { return numbers_.at(name); }
  const WordFeatures& word(std::string_view word);
  void letters_of(std::string_view piece, std::vector<int32_t>& out) const;
  void shape(std::string_view piece, std::vector<int32_t>& out) const;
  void place(const Text& text, int64_t i, int64_t in_document, int64_t in_window, std::vector<int32_t>& out) const;

  const Tokenizer& tokenizer_;
  std::unique_ptr<Inventory> inventory_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, int32_t> numbers_;
  int32_t own_ = 0, after_ = 0;  // features that are no concepts; the first "after"
  std::size_t concepts_after_ = 0;
  std::unordered_map<std::string, WordFeatures> words_;  // a cache, emptied when it is full
};

}  // namespace crate
