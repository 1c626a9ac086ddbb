#include "work/atoms/corpus.h"

#include <algorithm>

#include "base/error.h"

namespace crate {
namespace {

constexpr int64_t fewest_documents = 32, parts = 64, block = 1 << 16, counted = 4 << 20;

uint64_t key_of(int64_t vocab, std::initializer_list<int32_t> tokens) {
  uint64_t key = 0;
  for (const int32_t t : tokens) key = key * static_cast<uint64_t>(vocab) + static_cast<uint64_t>(t);
  return key;
}

using Counts = std::unordered_map<uint64_t, int64_t>;

// The most frequent keys with at least four uses, most frequent first.
std::vector<uint64_t> most_frequent(const Counts& counts, int64_t n) {
  std::vector<std::pair<int64_t, uint64_t>> order;
  for (const auto& [key, count] : counts)
    if (count >= 4) order.emplace_back(-count, key);
  std::sort(order.begin(), order.end());
  std::vector<uint64_t> out;
  for (const auto& [count, key] : order) {
    if (static_cast<int64_t>(out.size()) >= n) break;
    out.push_back(key);
  }
  return out;
}

}  // namespace

AtomCorpus::AtomCorpus(Tokens tokens, int32_t separator) : tokens_(std::move(tokens)) {
  require(size() > 0, "{} is empty: there is nothing to read", name());
  for (int64_t lo = 0; lo < size(); lo += block) {
    const std::vector<int32_t> some = read(lo, std::min(size(), lo + block));
    for (std::size_t i = 0; i < some.size(); ++i)
      if (some[i] == separator || (lo == 0 && i == 0)) begins_.push_back(lo + static_cast<int64_t>(i));
  }
  if (documents() >= fewest_documents) return;
  cut_ = true;
  std::vector<int64_t> begins;
  const int64_t n = std::min(parts, size());
  for (int64_t i = 0; i < n; ++i) begins.push_back(i * size() / n);
  begins_ = std::move(begins);
}

int64_t AtomCorpus::document_of(int64_t position) const {
  return std::upper_bound(begins_.begin(), begins_.end(), position) - begins_.begin() - 1;
}

std::vector<int32_t> AtomCorpus::read(int64_t begin, int64_t end) const {
  std::vector<int32_t> out(static_cast<std::size_t>(end - begin));
  tokens_.copy(begin, end - begin, out.data());
  return out;
}

Ngrams::Ngrams(const AtomCorpus& corpus, int64_t vocab, int64_t rows) : vocab_(vocab) {
  std::vector<int64_t> ones(static_cast<std::size_t>(vocab));
  Counts twos, threes;
  const int64_t end = std::min(corpus.size(), counted);
  for (int64_t lo = 0; lo < end; lo += block) {
    const std::vector<int32_t> some = corpus.read(lo, std::min(end, lo + block));
    for (std::size_t i = 0; i < some.size(); ++i) {
      ++ones[static_cast<std::size_t>(some[i])];
      if (i >= 1) ++twos[key_of(vocab, {some[i - 1], some[i]})];
      if (i >= 2) ++threes[key_of(vocab, {some[i - 2], some[i - 1], some[i]})];
    }
  }
  one_.assign(ones.size(), -1);
  Counts single;
  for (std::size_t t = 0; t < ones.size(); ++t)
    if (ones[t] > 0) single[t] = ones[t] + 4;  // however rare
  const auto next = [&](std::vector<int32_t> gram) {
    grams_.push_back(std::move(gram));
    return static_cast<int32_t>(rows_++);
  };
  for (const uint64_t t : most_frequent(single, rows)) one_[t] = next({static_cast<int32_t>(t)});
  const int64_t left = rows - rows_;
  const auto v = static_cast<uint64_t>(vocab);
  const auto token = [](uint64_t t) { return static_cast<int32_t>(t); };
  for (const uint64_t k : most_frequent(twos, left * 2 / 3)) two_[k] = next({token(k / v), token(k % v)});
  for (const uint64_t k : most_frequent(threes, rows - rows_))
    three_[k] = next({token(k / v / v), token(k / v % v), token(k % v)});
}

Ngrams::At Ngrams::at(int32_t before2, int32_t before, int32_t token) const {
  At out;
  out.one = one_[static_cast<std::size_t>(token)];
  if (before < 0) return out;
  if (const auto it = two_.find(key_of(vocab_, {before, token})); it != two_.end()) out.two = it->second;
  if (before2 < 0) return out;
  if (const auto it = three_.find(key_of(vocab_, {before2, before, token})); it != three_.end()) out.three = it->second;
  return out;
}

}  // namespace crate
