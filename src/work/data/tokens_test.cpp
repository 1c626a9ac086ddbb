// Token shards: both formats read and written, several seen as one, and every wrong one refused by name.
#include "work/data/tokens.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <numeric>
#include <span>

#include "base/error.h"
#include "testing/folder.h"

namespace crate {
namespace {

std::string shard(const std::string& path, ShardFormat format, int32_t from, int32_t to) {
  std::vector<int32_t> tokens(static_cast<std::size_t>(to - from));
  std::iota(tokens.begin(), tokens.end(), from);
  ShardWriter writer(path, format);
  const auto half = static_cast<std::ptrdiff_t>(tokens.size() / 2);
  writer.write({tokens.begin(), tokens.begin() + half});
  writer.write({tokens.begin() + half, tokens.end()});
  writer.commit();
  EXPECT_EQ(writer.count(), to - from);
  return path;
}

std::vector<int32_t> all_of(const Tokens& tokens) {
  std::vector<int32_t> out(static_cast<std::size_t>(tokens.size()));
  tokens.copy(0, tokens.size(), out.data());
  return out;
}

bool says(const std::string& message, const std::string& part) { return message.find(part) != std::string::npos; }

TEST(Tokens, ShardsOfBothFormatsReadAsOneArray) {
  const Folder f;
  const auto bytes = byte_tokenizer();
  const std::vector<std::string> files = {shard(f.at("a.bin"), ShardFormat::nanogpt, 0, 7),
                                          shard(f.at("b.bin"), ShardFormat::llmc, 7, 7),
                                          shard(f.at("c.bin"), ShardFormat::llmc, 7, 200)};
  EXPECT_EQ(std::filesystem::file_size(files[0]), 14u);
  EXPECT_EQ(std::filesystem::file_size(files[2]), 1024u + 2 * 193);
  const std::string header = read_text_file(files[2]);
  std::array<int32_t, 4> head;
  std::memcpy(head.data(), header.data(), sizeof(head));
  EXPECT_EQ(head, (std::array<int32_t, 4>{20240520, 1, 193, 0}));

  std::vector<int32_t> expected(200);
  std::iota(expected.begin(), expected.end(), 0);
  const Tokens tokens = Tokens::from_shards(files, *bytes);
  EXPECT_EQ(all_of(tokens), expected);
  for (const auto& name : {f.path.string(), f.at("*.bin")})
    EXPECT_EQ(all_of(open_tokens(name, "train", *bytes)), expected);
  for (int64_t from = 0; from < 200; from += 3) {
    const Tokens part = tokens.slice(from, 200);
    std::vector<int32_t> out(static_cast<std::size_t>(std::min<int64_t>(9, part.size())));
    part.copy(0, static_cast<int64_t>(out.size()), out.data());
    EXPECT_EQ(out, std::vector<int32_t>(expected.begin() + from,
                                        expected.begin() + from + static_cast<std::ptrdiff_t>(out.size())));
  }
  int32_t none = 0;
  EXPECT_THROW(tokens.copy(199, 2, &none), Error);
  EXPECT_THROW(tokens.copy(-1, 1, &none), Error);
  EXPECT_THROW(static_cast<void>(tokens.slice(5, 201)), Error);
}

TEST(Tokens, FoldersGiveThePartAskedFor) {
  const Folder f;
  const auto bytes = byte_tokenizer();
  shard(f.at("web_train_000001.bin"), ShardFormat::llmc, 0, 5);
  shard(f.at("web_train_000002.bin"), ShardFormat::llmc, 5, 8);
  shard(f.at("web_val_000000.bin"), ShardFormat::llmc, 100, 102);
  EXPECT_EQ(open_tokens(f.path, "train", *bytes).size(), 8);
  EXPECT_EQ(all_of(open_tokens(f.path, "val", *bytes)), (std::vector<int32_t>{100, 101}));
  std::filesystem::remove(f.at("web_val_000000.bin"));
  EXPECT_TRUE(says(message_of([&] { open_tokens(f.path, "val", *bytes); }), "holds no val shards"));
}

TEST(Tokens, WrongFilesAreRefusedByName) {
  const Folder f;
  const auto bytes = byte_tokenizer();
  const auto open = [&](const std::string& name) {
    return message_of([&] { all_of(open_tokens(f.at(name), "train", *bytes)); });
  };
  write_atomically(f.at("odd.bin"), std::string_view("abc"));
  EXPECT_TRUE(says(open("odd.bin"), "odd.bin: not a token shard")) << open("odd.bin");
  const std::string whole = read_text_file(shard(f.at("x.bin"), ShardFormat::llmc, 0, 50));
  write_atomically(f.at("cut.bin"), std::string_view(whole).substr(0, whole.size() - 2));
  EXPECT_TRUE(says(open("cut.bin"), "promises 50 tokens, the file holds 49")) << open("cut.bin");
  std::string other = whole;
  other[4] = 2;
  write_atomically(f.at("version.bin"), other);
  EXPECT_TRUE(says(open("version.bin"), "version 2")) << open("version.bin");
  const int32_t wide = 20240801;
  std::memcpy(other.data(), &wide, sizeof(wide));
  write_atomically(f.at("wide.bin"), other);
  EXPECT_TRUE(says(open("wide.bin"), "32-bit tokens")) << open("wide.bin");
  shard(f.at("gpt2.bin"), ShardFormat::nanogpt, 250, 300);
  EXPECT_TRUE(says(open("gpt2.bin"), "gpt2.bin: token 257 at 7 lies outside the vocabulary of 257"))
      << open("gpt2.bin");
  EXPECT_TRUE(says(open("absent"), "absent")) << open("absent");
}

TEST(Tokens, TooShortACorpusIsAnError) {
  const Folder f;
  const auto bytes = byte_tokenizer();
  write_atomically(f.at("empty.txt"), std::string_view(""));
  write_atomically(f.at("short.txt"), std::string_view("abc"));
  const Tokens text = open_tokens(f.at("short.txt"), "train", *bytes);
  EXPECT_EQ(all_of(text), (std::vector<int32_t>{256, 'a', 'b', 'c'}));
  EXPECT_NO_THROW(check_length(text, 3));
  EXPECT_TRUE(says(message_of([&] { check_length(text, 4); }), "has 4 tokens, fewer than one context of 4"));
  EXPECT_TRUE(says(message_of([&] { check_length(open_tokens(f.at("empty.txt"), "train", *bytes), 4); }),
                   "empty.txt is empty"));
}

TEST(ShardWriter, WritesWholeOrNotAtAllAndOnly16Bits) {
  const Folder f;
  {
    ShardWriter half(f.at("x.bin"), ShardFormat::llmc);
    half.write({1, 2, 3});
    EXPECT_THROW(half.write({65536}), Error);
    EXPECT_THROW(half.write({-1}), Error);
  }
  EXPECT_TRUE(std::filesystem::is_empty(f.path));
}

}  // namespace
}  // namespace crate
