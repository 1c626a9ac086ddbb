#include "work/data/bpe_train.h"

#include <algorithm>
#include <queue>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "work/data/bpe.h"
#include "work/data/split.h"

namespace crate {
namespace {

using Pair = std::pair<int32_t, int32_t>;

struct PairHash {
  std::size_t operator()(const Pair& p) const {
    return static_cast<std::size_t>(
        (static_cast<uint64_t>(static_cast<uint32_t>(p.first)) << 32 | static_cast<uint32_t>(p.second)) *
        0x9E3779B97F4A7C15);
  }
};

struct Word {
  std::vector<int32_t> tokens;
  int64_t count;
};

// What is known of a pair: how often it occurs, and the words where it may.
struct Seen {
  int64_t count = 0;
  std::unordered_set<int32_t> words;
};

class Trainer {
 public:
  explicit Trainer(const std::function<void(const TextSink&)>& corpus) {
    const Splitter splitter;
    std::unordered_map<std::string, int64_t> counts;
    corpus([&](std::string_view text) {
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = splitter.word_end(text, at);
        ++counts[std::string(text.substr(at, end - at))];
        at = end;
      }
    });
    require(!counts.empty(), "[bpe] the corpus to train a vocabulary on is empty");
    std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(), counts.end());
    std::sort(sorted.begin(), sorted.end());  // the same vocabulary whatever the order of a hash table
    for (const auto& [text, count] : sorted) add_word(text, count);
    for (const auto& [pair, seen] : pairs_) offer(pair, seen.count);
    for (int b = 0; b < 256; ++b) model_.pieces.emplace_back(1, static_cast<char>(b));
  }

  BpeModel run(int64_t vocab_size, const std::function<void(int64_t, int64_t)>& progress) {
    const int64_t wanted = vocab_size - 257;
    const auto made = [this] { return static_cast<int64_t>(model_.pieces.size()) - 256; };
    while (made() < wanted && merge_best()) {
      if (progress) progress(made(), wanted);
    }
    model_.pieces.push_back(model_.separator);
    return std::move(model_);
  }

 private:
  struct Offer {
    int64_t count;
    Pair pair;
    bool operator<(const Offer& o) const { return count != o.count ? count < o.count : pair > o.pair; }
  };

  void add_word(const std::string& text, int64_t count) {
    const auto id = static_cast<int32_t>(words_.size());
    Word word{{}, count};
    for (const char c : text) word.tokens.push_back(static_cast<unsigned char>(c));
    for (std::size_t i = 0; i + 1 < word.tokens.size(); ++i)
      count_pair({word.tokens[i], word.tokens[i + 1]}, count, id);
    words_.push_back(std::move(word));
  }

  void count_pair(const Pair& pair, int64_t by, int32_t word) {
    Seen& seen = pairs_[pair];
    seen.count += by;
    if (by > 0) seen.words.insert(word);
  }

  void offer(const Pair& pair, int64_t count) {
    if (count > 1) queue_.push({count, pair});
  }

  bool merge_best() {
    while (!queue_.empty()) {
      const Offer best = queue_.top();
      queue_.pop();
      const auto it = pairs_.find(best.pair);
      if (it == pairs_.end() || it->second.count < 2) continue;
      if (it->second.count != best.count) {  // an old count: offer it again with the right one
        offer(best.pair, it->second.count);
        continue;
      }
      merge(best.pair, std::move(it->second.words));
      return true;
    }
    return false;
  }

  void merge(const Pair& pair, std::unordered_set<int32_t> where) {
    const auto joined = static_cast<int32_t>(model_.pieces.size());
    const auto& pieces = model_.pieces;
    model_.merges.emplace_back(pieces[static_cast<std::size_t>(pair.first)],
                               pieces[static_cast<std::size_t>(pair.second)]);
    model_.pieces.push_back(model_.merges.back().first + model_.merges.back().second);
    pairs_.erase(pair);
    std::vector<Pair> fresh;
    for (const int32_t id : where) merge_in(id, pair, joined, fresh);
    std::sort(fresh.begin(), fresh.end());
    fresh.erase(std::unique(fresh.begin(), fresh.end()), fresh.end());
    for (const Pair& p : fresh) offer(p, pairs_[p].count);
  }

  void merge_in(int32_t id, const Pair& pair, int32_t joined, std::vector<Pair>& fresh) {
    Word& word = words_[static_cast<std::size_t>(id)];
    const auto count_all = [&](int64_t sign) {
      for (std::size_t i = 0; i + 1 < word.tokens.size(); ++i) {
        const Pair p{word.tokens[i], word.tokens[i + 1]};
        if (p == pair) continue;
        count_pair(p, sign * word.count, id);
        if (sign > 0 && (p.first == joined || p.second == joined)) fresh.push_back(p);
      }
    };
    count_all(-1);
    std::size_t to = 0;
    for (std::size_t i = 0; i < word.tokens.size(); ++to) {
      const bool here = i + 1 < word.tokens.size() && word.tokens[i] == pair.first && word.tokens[i + 1] == pair.second;
      word.tokens[to] = here ? joined : word.tokens[i];
      i += here ? 2 : 1;
    }
    word.tokens.resize(to);
    count_all(+1);
  }

  BpeModel model_;
  std::vector<Word> words_;
  std::unordered_map<Pair, Seen, PairHash> pairs_;
  std::priority_queue<Offer> queue_;
};

}  // namespace

std::unique_ptr<Tokenizer> train_bpe(const std::function<void(const TextSink&)>& corpus, int64_t vocab_size,
                                     const std::function<void(int64_t, int64_t)>& progress) {
  require(vocab_size >= 257, "[bpe] a byte-level vocabulary needs at least 257 tokens, came {}", vocab_size);
  return make_bpe(Trainer(corpus).run(vocab_size, progress), "trained vocabulary");
}

}  // namespace crate
