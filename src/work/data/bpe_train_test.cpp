// Learning a vocabulary against the definition written down naively: count all pairs anew before every merge.
#include "work/data/bpe_train.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/rng.h"
#include "work/data/bpe.h"
#include "work/data/split.h"

namespace crate {
namespace {

using Symbols = std::vector<int32_t>;

std::vector<Symbols> words_of(const std::vector<std::string>& texts) {
  const Splitter splitter;
  std::vector<Symbols> words;
  for (const std::string& text : texts) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = splitter.word_end(text, at);
      Symbols word;
      for (; at < end; ++at) word.push_back(static_cast<unsigned char>(text[at]));
      words.push_back(word);
    }
  }
  return words;
}

void join(Symbols& word, const std::pair<int32_t, int32_t>& pair, int32_t joined) {
  Symbols out;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool here = i + 1 < word.size() && word[i] == pair.first && word[i + 1] == pair.second;
    out.push_back(here ? joined : word[i]);
    if (here) ++i;
  }
  word = out;
}

// The most frequent pair becomes a token; of equally frequent ones that of the smallest numbers.
std::vector<std::string> naive_pieces(const std::vector<std::string>& texts, std::size_t vocab) {
  std::vector<Symbols> words = words_of(texts);
  std::vector<std::string> pieces;
  for (int b = 0; b < 256; ++b) pieces.emplace_back(1, static_cast<char>(b));
  while (pieces.size() + 1 < vocab) {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;
    for (const Symbols& word : words) {
      for (std::size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
    }
    auto best = counts.end();
    for (auto it = counts.begin(); it != counts.end(); ++it) {
      if (best == counts.end() || it->second > best->second) best = it;
    }
    if (best == counts.end() || best->second < 2) break;
    const auto joined = static_cast<int32_t>(pieces.size());
    pieces.push_back(pieces[static_cast<std::size_t>(best->first.first)] +
                     pieces[static_cast<std::size_t>(best->first.second)]);
    for (Symbols& word : words) join(word, best->first, joined);
  }
  return pieces;
}

std::unique_ptr<Tokenizer> trained(const std::vector<std::string>& texts, int64_t vocab) {
  return train_bpe(
      [&](const TextSink& sink) {
        for (const std::string& text : texts) sink(text);
      },
      vocab);
}

void expect_same(const std::vector<std::string>& texts, std::size_t vocab) {
  const auto tokenizer = trained(texts, static_cast<int64_t>(vocab));
  const std::vector<std::string> expected = naive_pieces(texts, vocab);
  ASSERT_EQ(tokenizer->vocab_size(), static_cast<int64_t>(expected.size()) + 1);
  EXPECT_EQ(tokenizer->separator(), static_cast<int32_t>(expected.size()));
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_EQ(tokenizer->bytes_of(static_cast<int32_t>(i)), expected[i]) << i;
}

TEST(BpeTrain, FollowsTheDefinitionOnRandomTexts) {
  const Rng rng(9, Stream::test);
  for (uint64_t trial = 0; trial < 20; ++trial) {
    std::vector<std::string> texts(5);
    for (uint64_t t = 0; t < texts.size(); ++t) {
      for (uint64_t i = 0; i < 120; ++i)
        texts[t] += "aaaabbc d'"[rng.below(10, trial, 120 * t + i)];  // many overlapping pairs
    }
    expect_same(texts, 340);
  }
}

TEST(BpeTrain, RunsOfOneLetterMergeFromTheLeft) {
  std::vector<std::string> texts;
  for (std::size_t n = 1; n < 30; ++n) texts.push_back(std::string(n, 'a'));
  expect_same(texts, 300);
}

TEST(BpeTrain, DoesNotDependOnTheOrderOfTexts) {
  const std::vector<std::string> texts = {"the cat sat on the mat", "a mat is not a cat", "then the cats sat"};
  EXPECT_EQ(trained(texts, 280)->identity(), trained({texts[2], texts[0], texts[1]}, 280)->identity());
}

TEST(BpeTrain, RefusesWhatCannotBeLearned) {
  EXPECT_THROW(trained({""}, 300), Error);
  EXPECT_THROW(trained({"text"}, 256), Error);
  EXPECT_EQ(trained({"no pair twice"}, 257)->vocab_size(), 257);
}

}  // namespace
}  // namespace crate
