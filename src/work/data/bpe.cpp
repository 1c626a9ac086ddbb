#include "work/data/bpe.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <queue>
#include <span>
#include <unordered_map>

#include "base/error.h"
#include "base/sha256.h"
#include "work/data/split.h"

namespace crate {
namespace {

constexpr int32_t none = -1;
constexpr uint64_t golden = 0x9E3779B97F4A7C15;

uint64_t hash_of(std::string_view word) {
  uint64_t h = word.size() * golden;
  std::size_t i = 0;
  for (; i + 8 <= word.size(); i += 8) {
    uint64_t piece;
    std::memcpy(&piece, word.data() + i, 8);
    h = std::rotl((h ^ piece) * golden, 29);
  }
  uint64_t tail = 0;
  if (i < word.size()) std::memcpy(&tail, word.data() + i, word.size() - i);
  h = (h ^ tail) * golden;
  return h ^ h >> 32;
}

// Open addressing over a table that never changes after loading, so that encoding needs no lock.
class WordTable {
 public:
  explicit WordTable(std::size_t words)
      : mask_(std::bit_ceil(std::max<std::size_t>(16, 4 * words)) - 1), slots_(mask_ + 1) {}

  void insert(std::string_view word, int32_t token) {
    std::size_t at = hash_of(word) & mask_;
    while (slots_[at].token != none) at = (at + 1) & mask_;
    slots_[at] = {word, token};
  }
  int32_t find(std::string_view word) const {
    for (std::size_t at = hash_of(word) & mask_; slots_[at].token != none; at = (at + 1) & mask_) {
      if (slots_[at].word == word) return slots_[at].token;
    }
    return none;
  }

 private:
  struct Slot {
    std::string_view word;
    int32_t token = none;
  };
  std::size_t mask_;
  std::vector<Slot> slots_;
};

struct Merge {
  int32_t rank = none;
  int32_t token = none;
};

uint64_t pair_key(int32_t a, int32_t b) {
  return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32 | static_cast<uint32_t>(b);
}

class MergeTable {
 public:
  explicit MergeTable(std::size_t merges)
      : mask_(std::bit_ceil(std::max<std::size_t>(16, 4 * merges)) - 1),
        keys_(mask_ + 1, ~uint64_t{0}),
        values_(mask_ + 1) {}
  void insert(int32_t a, int32_t b, Merge m) {
    std::size_t at = slot(pair_key(a, b));
    while (keys_[at] != ~uint64_t{0}) at = (at + 1) & mask_;
    keys_[at] = pair_key(a, b);
    values_[at] = m;
  }
  Merge find(int32_t a, int32_t b) const {
    const uint64_t key = pair_key(a, b);
    for (std::size_t at = slot(key); keys_[at] != ~uint64_t{0}; at = (at + 1) & mask_) {
      if (keys_[at] == key) return values_[at];
    }
    return {};
  }

 private:
  std::size_t slot(uint64_t key) const { return (key * golden >> 20) & mask_; }
  std::size_t mask_;
  std::vector<uint64_t> keys_;
  std::vector<Merge> values_;
};

class Bpe final : public Tokenizer {
 public:
  Bpe(BpeModel model, const std::string& where)
      : model_(std::move(model)), words_(model_.pieces.size()), merges_(model_.merges.size()) {
    index(where);
  }

  std::string kind() const override { return "bpe"; }
  int64_t vocab_size() const override { return static_cast<int64_t>(model_.pieces.size()); }
  int32_t separator() const override { return separator_; }
  std::string to_json() const override { return tokenizer_json(model_); }
  std::string identity() const override { return identity_; }

  std::string_view bytes_of(int32_t token) const override {
    require(token >= 0 && token < vocab_size(), "[bpe] token {} lies outside 0..{}", token, vocab_size() - 1);
    if (token == separator_) return {};
    return model_.pieces[static_cast<std::size_t>(token)];
  }

  void encode(std::string_view text, std::vector<int32_t>& out) const override {
    std::size_t at = 0;
    while (at < text.size()) {
      const std::size_t end = splitter_.word_end(text, at);
      const std::string_view word = text.substr(at, end - at);
      at = end;
      const int32_t whole = words_.find(word);
      if (whole != none)
        out.push_back(whole);
      else
        merge_word(word, out);
    }
  }

 private:
  void index(const std::string& where) {
    std::unordered_map<std::string_view, int32_t> token_of;
    for (std::size_t i = 0; i < model_.pieces.size(); ++i) {
      require(token_of.emplace(model_.pieces[i], static_cast<int32_t>(i)).second, "{}: the piece '{}' appears twice",
              where, model_.pieces[i]);
    }
    const auto lookup = [&](std::string_view piece) {
      const auto it = token_of.find(piece);
      return it == token_of.end() ? none : it->second;
    };
    separator_ = lookup(model_.separator);
    require(separator_ != none, "{}: the separator '{}' is not in the vocabulary", where, model_.separator);
    for (int b = 0; b < 256; ++b) {
      const char c = static_cast<char>(b);
      byte_token_[static_cast<std::size_t>(b)] = lookup({&c, 1});
      require(byte_token_[static_cast<std::size_t>(b)] != none,
              "{}: no token for the byte {}; not a byte-level vocabulary", where, b);
    }
    for (std::size_t rank = 0; rank < model_.merges.size(); ++rank) {
      const auto& [a, b] = model_.merges[rank];
      const int32_t left = lookup(a), right = lookup(b), both = lookup(a + b);
      require(left != none && right != none && both != none, "{}: merge {} joins pieces that are not in the vocabulary",
              where, rank);
      if (merges_.find(left, right).rank == none) merges_.insert(left, right, {static_cast<int32_t>(rank), both});
    }
    // Words that end as one token are found at once; the merges decide which those are.
    std::vector<int32_t> tokens;
    for (std::size_t i = 0; i < model_.pieces.size(); ++i) {
      if (static_cast<int32_t>(i) == separator_) continue;
      tokens.clear();
      merge_word(model_.pieces[i], tokens);
      if (tokens.size() == 1) words_.insert(model_.pieces[i], tokens[0]);
    }
    identity_ = hash_of_model();
  }

  // Of pieces and merges alone, whatever file they came from.
  std::string hash_of_model() const {
    Sha256 hash;
    const auto add = [&hash](const std::string& piece) {
      const uint64_t size = piece.size();
      hash.update(std::as_bytes(std::span(&size, 1)));
      hash.update(std::as_bytes(std::span(piece)));
    };
    for (const std::string& piece : model_.pieces) add(piece);
    for (const auto& [left, right] : model_.merges) {
      add(left);
      add(right);
    }
    return hash.hex();
  }

  void merge_word(std::string_view word, std::vector<int32_t>& out) const {
    if (word.size() > longest_scanned) return merge_long_word(word, out);
    std::array<int32_t, longest_scanned> tokens;
    std::array<Merge, longest_scanned> next;  // of token i with token i + 1
    std::size_t n = word.size();
    for (std::size_t i = 0; i < n; ++i) tokens[i] = byte_token_[static_cast<unsigned char>(word[i])];
    for (std::size_t i = 0; i + 1 < n; ++i) next[i] = merges_.find(tokens[i], tokens[i + 1]);
    while (n > 1) {
      std::size_t best = n;
      for (std::size_t i = 0; i + 1 < n; ++i) {
        if (next[i].rank != none && (best == n || next[i].rank < next[best].rank)) best = i;
      }
      if (best == n) break;
      tokens[best] = next[best].token;
      for (std::size_t i = best + 1; i + 1 < n; ++i) {
        tokens[i] = tokens[i + 1];
        next[i] = next[i + 1];
      }
      --n;
      if (best > 0) next[best - 1] = merges_.find(tokens[best - 1], tokens[best]);
      next[best] = best + 1 < n ? merges_.find(tokens[best], tokens[best + 1]) : Merge{};
    }
    out.insert(out.end(), tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n));
  }

  // The same for words of any length in n log n: a queue of candidate pairs over a linked list.
  void merge_long_word(std::string_view word, std::vector<int32_t>& out) const {
    const auto n = static_cast<int64_t>(word.size());
    std::vector<int32_t> tokens(word.size());
    std::vector<int64_t> before(word.size()), after(word.size());
    struct Candidate {
      int32_t rank;
      int64_t at;
      int32_t left, right, joined;
      bool operator>(const Candidate& o) const { return std::pair(rank, at) > std::pair(o.rank, o.at); }
    };
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto offer = [&](int64_t at) {
      const int64_t right = at < 0 ? n : after[static_cast<std::size_t>(at)];
      if (at < 0 || right >= n) return;
      const int32_t a = tokens[static_cast<std::size_t>(at)], b = tokens[static_cast<std::size_t>(right)];
      if (const Merge m = merges_.find(a, b); m.rank != none) queue.push({m.rank, at, a, b, m.token});
    };
    for (int64_t i = 0; i < n; ++i) {
      tokens[static_cast<std::size_t>(i)] = byte_token_[static_cast<unsigned char>(word[static_cast<std::size_t>(i)])];
      before[static_cast<std::size_t>(i)] = i - 1;
      after[static_cast<std::size_t>(i)] = i + 1;
    }
    for (int64_t i = 0; i + 1 < n; ++i) offer(i);
    while (!queue.empty()) {
      const Candidate c = queue.top();
      queue.pop();
      const auto at = static_cast<std::size_t>(c.at);
      const int64_t right = after[at];
      if (tokens[at] != c.left || right >= n || tokens[static_cast<std::size_t>(right)] != c.right)
        continue;  // overtaken
      tokens[at] = c.joined;
      tokens[static_cast<std::size_t>(right)] = none;
      after[at] = after[static_cast<std::size_t>(right)];
      if (after[at] < n) before[static_cast<std::size_t>(after[at])] = c.at;
      offer(before[at]);
      offer(c.at);
    }
    for (const int32_t t : tokens) {
      if (t != none) out.push_back(t);
    }
  }

  static constexpr std::size_t longest_scanned = 48;
  BpeModel model_;
  Splitter splitter_;
  WordTable words_;
  MergeTable merges_;
  std::array<int32_t, 256> byte_token_{};
  int32_t separator_ = none;
  std::string identity_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_bpe(BpeModel model, const std::string& where) {
  return std::make_unique<Bpe>(std::move(model), where);
}

}  // namespace crate
