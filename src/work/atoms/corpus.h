// corpus: a text as documents, with what is known of its tokens before any model runs.
//
// Documents begin at the tokenizer's separator. A text with fewer than 32 of them is cut into 64 equal parts that take
// their place, so that there is something to hold out. Every other document, the second, fourth, ..., is held out:
// names and simulators are made on the others and scored on these.
//
// N-grams that are counted have a row: all tokens, the most frequent pairs and triples, as many as a table of
// activations per row may have.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "work/atoms/features.h"
#include "work/data/tokens.h"

namespace crate {

inline bool is_held_out(int64_t document) { return document % 2 == 1; }

class AtomCorpus {
 public:
  /// Throws Error when the text is empty.
  AtomCorpus(Tokens tokens, int32_t separator);

  int64_t size() const { return tokens_.size(); }
  int64_t documents() const { return static_cast<int64_t>(begins_.size()); }
  /// Were documents cut from a text that has too few?
  bool is_cut() const { return cut_; }
  int64_t document_of(int64_t position) const;
  int64_t begin_of(int64_t document) const { return begins_[static_cast<std::size_t>(document)]; }
  int64_t end_of(int64_t document) const { return document + 1 < documents() ? begin_of(document + 1) : size(); }
  std::vector<int32_t> read(int64_t begin, int64_t end) const;
  const std::string& name() const { return tokens_.name(); }

 private:
  Tokens tokens_;
  std::vector<int64_t> begins_;
  bool cut_ = false;
};

/// Row numbers of tokens, pairs and triples.
class Ngrams {
 public:
  /// None: what is read has no tokens.
  Ngrams() = default;
  /// At most `rows` rows in all; counts the first 4 M tokens.
  Ngrams(const AtomCorpus& corpus, int64_t vocab, int64_t rows);

  int64_t rows() const { return rows_; }
  /// Rows of the token, of it with the one before, of it with the two before; -1 where there is none. Tokens before the
  /// section are -1.
  struct At {
    int32_t one = -1, two = -1, three = -1;
  };
  At at(int32_t before2, int32_t before, int32_t token) const;
  /// The tokens of a row, one to three.
  const std::vector<int32_t>& tokens_of(int64_t row) const { return grams_[static_cast<std::size_t>(row)]; }

 private:
  int64_t vocab_ = 0, rows_ = 0;
  std::vector<int32_t> one_;
  std::unordered_map<uint64_t, int32_t> two_, three_;
  std::vector<std::vector<int32_t>> grams_;
};

}  // namespace crate
