// Readers: every format gives the same documents, whole and in order; damage is named.
#include "work/data/reader.h"

#include <gtest/gtest.h>
#include <lzma.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "testing/folder.h"

namespace crate {
namespace {

std::string gzip(const std::string& text) {
  std::string out(compressBound(text.size()) + 64, '\0');
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string xz(const std::string& text) {
  std::string out(lzma_stream_buffer_bound(text.size()), '\0');
  std::size_t used = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const uint8_t*>(text.data()),
                                    text.size(), reinterpret_cast<uint8_t*>(out.data()), &used, out.size()),
            LZMA_OK);
  out.resize(used);
  return out;
}

std::string zst(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

using Compress = std::string (*)(const std::string&);
const std::vector<std::pair<std::string, Compress>> compressors = {{".gz", gzip}, {".xz", xz}, {".zst", zst}};

std::vector<std::string> documents(const std::vector<std::string>& files, const ReadOptions& options = {}) {
  std::vector<std::string> out(1);
  read_documents(files, options, [&](std::string_view text, bool last) {
    out.back() += text;
    if (last) out.emplace_back();
  });
  EXPECT_EQ(out.back(), "") << "a document was not ended";
  out.pop_back();
  return out;
}

std::string error_of(const std::string& file, const ReadOptions& options = {}) {
  return message_of([&] { documents({file}, options); });
}

// Three megabytes that do not compress to nothing: longer than every buffer of the readers.
std::string long_text() {
  const Rng rng(1, Stream::test);
  std::string text;
  for (uint64_t i = 0; i < 3'000'000; ++i) text += static_cast<char>('a' + rng.below(26, 0, i));
  return text + "\nlast line without end";
}

TEST(Reader, PlainTextIsOneDocumentOrBeginsAtAPrefix) {
  const Folder f;
  const std::string wiki = "preface\n= A =\n\ntext\n== section ==\n= B =\nmore";
  const std::string file = f.with("w.txt", wiki);
  EXPECT_EQ(documents({file}), std::vector<std::string>{wiki});
  const std::vector<std::string> parts = {"preface\n", "= A =\n\ntext\n== section ==\n", "= B =\nmore"};
  EXPECT_EQ(documents({file}, {.document_prefix = "= "}), parts);
  EXPECT_TRUE(documents({f.with("empty.txt", "")}).empty());
  EXPECT_EQ(documents({file, file}).size(), 2u);
}

TEST(Reader, JsonLinesAreDocuments) {
  const Folder f;
  const std::string lines =
      "{\"text\": \"a\\nb\\u00e9\", \"n\": 1}\n\n  \n{\"n\": 2, \"text\": \"\"}\n{\"text\": \"last\"}";
  const std::vector<std::string> expected = {"a\nb\u00e9", "", "last"};
  EXPECT_EQ(documents({f.with("a.jsonl", lines)}), expected);
  for (const auto& [suffix, compress] : compressors)
    EXPECT_EQ(documents({f.with("a.jsonl" + suffix, compress(lines))}), expected) << suffix;
  EXPECT_EQ(documents({f.with("b.jsonl", "{\"body\": \"x\"}\n")}, {.json_field = "body"}),
            std::vector<std::string>{"x"});
  const std::string bad = f.with("c.jsonl", "{\"text\": \"fine\"}\n{\"text\": 3}\n");
  EXPECT_NE(error_of(bad).find("c.jsonl: line 2 has no text field 'text'"), std::string::npos) << error_of(bad);
  EXPECT_NE(error_of(f.with("d.jsonl", "[1]\n")).find("line 1 is not a JSON object"), std::string::npos);
}

TEST(Reader, CompressedTextsReadAsPlainOnes) {
  const Folder f;
  const std::string text = long_text();
  for (const auto& [suffix, compress] : compressors) {
    EXPECT_EQ(documents({f.with("a.txt" + suffix, compress(text))}), std::vector<std::string>{text}) << suffix;
    const std::string members = compress("one ") + compress(text) + compress("");  // streams may follow each other
    EXPECT_EQ(documents({f.with("b.txt" + suffix, members)}), std::vector<std::string>{"one " + text}) << suffix;
  }
}

TEST(Reader, NamesDamagedAndTruncatedFiles) {
  const Folder f;
  const std::string text = long_text();
  for (const auto& [suffix, compress] : compressors) {
    const std::string whole = compress(text);
    std::string flipped = whole;
    flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 0x55);
    std::vector<std::string> cuts = {"", flipped, "not compressed at all, but long enough to look at"};
    for (const std::size_t keep : {std::size_t{3}, whole.size() / 2, whole.size() - 1}) {
      cuts.push_back(whole.substr(0, keep));
    }
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      if (suffix == ".zst" && i == 1) continue;  // ZSTD_compress writes no checksum: literals may change unseen
      const std::string message = error_of(f.with("cut.txt" + suffix, cuts[i]));
      EXPECT_NE(message.find("cut.txt" + suffix + " is damaged or cut short"), std::string::npos)
          << suffix << " " << i << ": " << message;
    }
  }
  EXPECT_NE(error_of(f.at("absent.txt")).find("absent.txt"), std::string::npos);
}

TEST(Reader, ProgressEndsAtTheBytesOnDisk) {
  const Folder f;
  const std::vector<std::string> files = {f.with("a.txt.gz", gzip(long_text())), f.with("b.txt", "short")};
  uint64_t before = 0;
  ReadProgress last;
  read_documents(
      files, {}, [](std::string_view, bool) {},
      [&](const ReadProgress& p) {
        EXPECT_GE(p.bytes_read, before);
        before = p.bytes_read;
        last = p;
      });
  EXPECT_EQ(last.bytes_read, last.bytes_total);
  EXPECT_EQ(last.bytes_total, std::filesystem::file_size(files[0]) + 5);
}

TEST(Reader, ListsFoldersAndPatternsInOrder) {
  const Folder f;
  const std::string b = f.with("b_2.txt", "2"), a = f.with("a_1.txt", "1");
  f.with(".hidden", "not data");
  EXPECT_EQ(list_files(f.path), (std::vector<std::string>{a, b}));
  EXPECT_EQ(list_files(f.at("*_2.txt")), std::vector<std::string>{b});
  EXPECT_THROW(list_files(f.at("*.bin")), Error);
  EXPECT_THROW(list_files(f.at("absent")), Error);
}

}  // namespace
}  // namespace crate
