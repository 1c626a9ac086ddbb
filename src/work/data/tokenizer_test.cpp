// Tokenizers: round trips, GPT-2's reference vectors, PCRE2 as the arbiter of the hand-written splitter.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "work/data/tokenizer.h"

#include <gtest/gtest.h>
#include <pcre2.h>

#include <filesystem>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "work/data/bpe.h"
#include "work/data/bpe_train.h"
#include "work/data/split.h"

namespace crate {
namespace {

const std::string shared = std::string(CRATE_SOURCE_DIR) + "/../shared/data/";

std::vector<std::string> words_by_hand(std::string_view text) {
  const Splitter splitter;
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = splitter.word_end(text, at);
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

std::vector<std::string> words_by_pcre(std::string_view text) {
  const std::string pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                                   &error, &offset, nullptr);
  pcre2_match_data* match = pcre2_match_data_create_from_pattern(code, nullptr);
  std::vector<std::string> words;
  PCRE2_SIZE at = 0;
  while (at < text.size() && pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                         PCRE2_ANCHORED, match, nullptr) > 0) {
    const PCRE2_SIZE end = pcre2_get_ovector_pointer(match)[1];
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  pcre2_match_data_free(match);
  pcre2_code_free(code);
  return words;
}

TEST(Splitter, AgreesWithPcreOnNastyText) {
  const std::vector<std::string> texts = {"Hello world",
                                          "  leading",
                                          "trailing  ",
                                          "a\n\nb",
                                          "tabs\t\tand  spaces \n x",
                                          "I'll don't we're 'twas 'S they've 'd'm",
                                          "1234 5.6e7 ½ ²³",
                                          "naïve café Ωmega 東京タワー",
                                          "👩‍👩‍👧 emoji\u00a0nbsp\u3000ideographic",
                                          "___foo!!! ?bar",
                                          "\r\n\r\n x",
                                          " \u2003 y",
                                          "\u180e",
                                          "'",
                                          " '",
                                          "'re",
                                          "''s"};
  for (const std::string& text : texts) EXPECT_EQ(words_by_hand(text), words_by_pcre(text)) << text;
}

TEST(Splitter, AgreesWithPcreOnRandomUnicode) {
  const std::vector<std::string> alphabet = {"a", "B", " ", "  ", "\n", "\t",     "'", "s",      "ll", "9",
                                             "½", "é", "Ж", "中", "，", "\u00a0", "😀", "\u0301", "-",  "\u2028"};
  const Rng rng(3, Stream::test);
  for (uint64_t trial = 0; trial < 500; ++trial) {
    std::string text;
    for (uint64_t i = 0; i < 40; ++i) text += alphabet[rng.below(alphabet.size(), trial, i)];
    ASSERT_EQ(words_by_hand(text), words_by_pcre(text)) << text;
  }
}

TEST(Bytes, RoundTrip) {
  const auto tokenizer = load_tokenizer("bytes");
  const std::string text("\0\xff any \x80 bytes", 14);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  EXPECT_EQ(tokenizer->vocab_size(), 257);
  EXPECT_EQ(tokenizer->bytes_of(256), "");
  EXPECT_THROW(static_cast<void>(tokenizer->bytes_of(257)), Error);
  EXPECT_THROW(load_tokenizer("/nowhere/at/all"), Error);
}

std::unique_ptr<Tokenizer> small_bpe() {
  return train_bpe(
      [](const TextSink& sink) {
        for (int i = 0; i < 20; ++i) sink("the cat sat on the mat, then the other cat ate the rat. Its 1000's of cats");
      },
      300);
}

TEST(Bpe, TrainsAndRoundTripsAnyBytes) {
  const auto tokenizer = small_bpe();
  EXPECT_LE(tokenizer->vocab_size(), 300);
  EXPECT_GT(tokenizer->vocab_size(), 257);
  EXPECT_LT(tokenizer->encode("the cat sat on the mat").size(), 12u);
  const Rng rng(5, Stream::test);
  for (uint64_t trial = 0; trial < 100; ++trial) {
    std::string text;
    for (uint64_t i = 0; i < trial * 3; ++i) text += static_cast<char>(rng.below(256, trial, i));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
}

TEST(Bpe, EncodesFromSeveralThreads) {
  const auto tokenizer = small_bpe();
  const std::string text = "the cat \u4e2d\u6587 \u0416\u0438\u0437\u043d\u044c caf\u00e9 \U0001F600 then sat";
  const auto expected = small_bpe()->encode(text);
  std::vector<std::vector<int32_t>> came(4);
  std::vector<std::thread> threads;
  for (auto& out : came) threads.emplace_back([&] { out = tokenizer->encode(text); });
  for (auto& thread : threads) thread.join();
  for (const auto& out : came) EXPECT_EQ(out, expected);
}

TEST(Bpe, LongWordsMergeAsShortOnes) {
  const auto tokenizer = small_bpe();
  std::string text;  // one word of letters, longer than what is scanned
  for (int i = 0; i < 40; ++i) text += "thecatatethemat";
  const auto tokens = tokenizer->encode(text);
  EXPECT_EQ(tokenizer->decode(tokens), text);
  const auto short_one = tokenizer->encode("thecatatethematthecatatethemat");
  const auto in_long =
      std::vector<int32_t>(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(short_one.size() / 2));
  EXPECT_EQ(in_long, std::vector<int32_t>(short_one.begin(),
                                          short_one.begin() + static_cast<std::ptrdiff_t>(short_one.size() / 2)));
}

TEST(Bpe, TokenizerJsonRoundTrips) {
  const auto tokenizer = small_bpe();
  const auto again = parse_tokenizer_json(tokenizer->to_json(), "test");
  EXPECT_EQ(again->identity(), tokenizer->identity());
  const std::string text = "then the cats of the other mats, 1000 of them";
  EXPECT_EQ(again->encode(text), tokenizer->encode(text));
}

TEST(Bpe, RefusesWhatItDoesNotImplement) {
  EXPECT_THROW(parse_tokenizer_json("{", "t"), Error);
  EXPECT_THROW(parse_tokenizer_json("{}", "t"), Error);
  EXPECT_THROW(parse_tokenizer_json(R"({"model":{"type":"WordPiece","vocab":{}}})", "t"), Error);
  EXPECT_THROW(parse_tokenizer_json(R"({"model":{"vocab":{},"merges":[]},"pre_tokenizer":{"type":"Metaspace"}})", "t"),
               Error);
  EXPECT_THROW(
      parse_tokenizer_json(R"({"model":{"vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"ByteLevel"}})", "t"),
      Error);
  EXPECT_THROW(
      parse_tokenizer_json(
          R"({"added_tokens":[{"id":99999999999,"content":"x"}],"model":{"vocab":{},"merges":[]},"pre_tokenizer":{"type":"ByteLevel"}})",
          "t"),
      Error);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// Files that others write say the same in several ways, and some say something else.
TEST(Bpe, ReadsSplitsAndMergesAsOthersWriteThem) {
  const auto tokenizer = small_bpe();
  const std::string own = tokenizer->to_json();
  const std::string whole =
      R"("pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})";
  const std::string bare = R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false})";
  const auto split = [&](const std::string& behavior) {
    return R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": )"
           R"("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"}, "behavior": ")" +
           behavior + R"(", "invert": false}, )" + bare + "]}";
  };
  const std::string text = "then the cats  of the other mats, 1000 of them";
  const auto same = parse_tokenizer_json(replaced(own, whole, split("Isolated")), "t");
  EXPECT_EQ(same->encode(text), tokenizer->encode(text));
  EXPECT_THROW(parse_tokenizer_json(replaced(own, whole, split("Removed")), "t"), Error);
  EXPECT_THROW(parse_tokenizer_json(replaced(own, whole, "\"pre_tokenizer\": " + bare), "t"), Error);
  EXPECT_THROW(parse_tokenizer_json(replaced(own, "\"normalizer\": null", R"("normalizer": {"type": "NFC"})"), "t"),
               Error);
  const auto pairs = parse_tokenizer_json(replaced(own, "\"a t\"", R"(["a", "t"])"), "t");
  EXPECT_EQ(pairs->identity(), tokenizer->identity());
}

TEST(Bpe, ReproducesGpt2) {
  if (!std::filesystem::exists(shared + "tokenizers/gpt2")) GTEST_SKIP() << "no GPT-2 vocabulary beside the project";
  const auto tokenizer = load_tokenizer(shared + "tokenizers/gpt2");
  EXPECT_EQ(tokenizer->vocab_size(), 50257);
  EXPECT_EQ(tokenizer->separator(), 50256);
  const std::string inputs = read_text_file(shared + "tokenizers/vectors/ggml-vocab-gpt-2.gguf.inp");
  std::istringstream outputs(read_text_file(shared + "tokenizers/vectors/ggml-vocab-gpt-2.gguf.out"));
  const std::string between = "\n__ggml_vocab_test__\n";
  int checked = 0;
  for (std::size_t at = 0; at < inputs.size(); ++checked) {
    const std::size_t end = std::min(inputs.find(between, at), inputs.size());
    std::string line;
    std::getline(outputs, line);
    std::istringstream numbers(line);
    const std::vector<int32_t> expected((std::istream_iterator<int32_t>(numbers)), {});
    const std::string text = inputs.substr(at, end - at);
    EXPECT_EQ(tokenizer->encode(text), expected) << text;
    EXPECT_EQ(tokenizer->decode(expected), text);
    at = end + between.size();
  }
  EXPECT_GE(checked, 40);
  const auto again = parse_tokenizer_json(tokenizer->to_json(), "test");
  EXPECT_EQ(again->encode(inputs), tokenizer->encode(inputs));
}

}  // namespace
}  // namespace crate
