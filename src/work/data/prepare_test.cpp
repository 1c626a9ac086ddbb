// Preparing data: what comes out is what went in, and a failure leaves what was there.
#include "work/data/prepare.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "testing/folder.h"

namespace crate {
namespace {

// Name -> content of everything in a folder.
std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    out[entry.path().filename()] = read_text_file(entry.path());
  return out;
}

std::string articles(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += fmt::format("= Title {} =\n\nThe cat number {} sat on the mat.\n", i, i);
  return text;
}

std::string decode(const Tokens& tokens, const Tokenizer& tokenizer) {
  std::vector<int32_t> all(static_cast<std::size_t>(tokens.size()));
  tokens.copy(0, tokens.size(), all.data());
  return tokenizer.decode(all);
}

PrepareOptions options_for(const Folder& f, const std::string& text) {
  PrepareOptions o;
  o.train = {text};
  o.val_fraction = 0.1;
  o.reading.document_prefix = "= ";
  o.out = f.at("out");
  return o;
}

TEST(Prepare, EveryTenthDocumentIsForValidation) {
  const Folder f;
  const PrepareResult r = prepare(options_for(f, f.with("wiki.txt", articles(40))));
  EXPECT_EQ(r.documents, 40);
  EXPECT_EQ(r.tokenizer, "bytes");
  EXPECT_EQ(r.train_bytes + r.val_bytes, static_cast<int64_t>(articles(40).size()));
  EXPECT_EQ(r.train_tokens, r.train_bytes + 36);  // a separator before each document
  EXPECT_EQ(r.val_tokens, r.val_bytes + 4);
  const auto bytes = byte_tokenizer();
  const std::string train = decode(open_tokens(f.at("out"), "train", *bytes), *bytes);
  const std::string val = decode(open_tokens(f.at("out"), "val", *bytes), *bytes);
  EXPECT_EQ(static_cast<int64_t>(train.size()), r.train_bytes);
  EXPECT_TRUE(val.starts_with("= Title 9 =\n") && val.find("= Title 39 =") != std::string::npos) << val;
  EXPECT_EQ(train.find("= Title 9 ="), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(f.at("out/tokenizer.json")));
}

TEST(Prepare, LearnsAVocabularyThatOnlyItselfReads) {
  const Folder f;
  PrepareOptions o = options_for(f, f.with("wiki.txt", articles(60)));
  o.val = {f.with("val.txt", articles(3))};
  o.train_vocab = 300;
  o.format = ShardFormat::llmc;
  std::set<std::string> phases;
  const PrepareResult r = prepare(o, [&](const PrepareProgress& p) {
    phases.insert(p.phase);
    EXPECT_LE(p.done, p.total);
  });
  EXPECT_EQ(phases, (std::set<std::string>{"vocabulary", "merges", "train", "val"}));
  EXPECT_EQ(r.documents, 63);
  EXPECT_EQ(r.vocab, 300);
  const auto tokenizer = load_tokenizer(f.at("out"));
  EXPECT_EQ(tokenizer->identity(), r.tokenizer);
  EXPECT_EQ(decode(open_tokens(f.at("out"), "val", *tokenizer), *tokenizer), articles(3));
  EXPECT_EQ(decode(open_tokens(f.at("out"), "train", *tokenizer), *tokenizer), articles(60));
  const auto bytes = byte_tokenizer();
  const std::string message = message_of([&] { open_tokens(f.at("out"), "train", *bytes); });
  EXPECT_NE(message.find("was made with another tokenizer"), std::string::npos) << message;

  const auto first = contents(f.at("out"));
  o.force = true;
  prepare(o);
  EXPECT_EQ(contents(f.at("out")), first) << "the same texts must give the same files";
}

TEST(Prepare, ReplacesOnlyWhenToldAndOnlyAsAWhole) {
  const Folder f;
  PrepareOptions o = options_for(f, f.with("wiki.txt", articles(40)));
  o.train_vocab = 280;
  prepare(o);
  const auto before = contents(f.at("out"));
  EXPECT_NE(message_of([&] { prepare(o); }).find("--force"), std::string::npos);
  o.force = true;
  PrepareOptions bad = o;
  bad.train.push_back(f.with("bad.jsonl", "{\"text\": 1}\n"));
  bad.train_vocab = 0;
  EXPECT_NE(message_of([&] { prepare(bad); }).find("bad.jsonl: line 1"), std::string::npos);
  EXPECT_EQ(contents(f.at("out")), before);
  o.train_vocab = 0;
  prepare(o);
  EXPECT_EQ(load_tokenizer(f.at("out"))->kind(), "bytes") << "the vocabulary of the earlier data is gone";
}

TEST(Prepare, RefusesCutAndUnfinishedData) {
  const Folder f;
  prepare(options_for(f, f.with("wiki.txt", articles(40))));
  const auto bytes = byte_tokenizer();
  const auto open = [&] { return message_of([&] { open_tokens(f.at("out"), "train", *bytes); }); };
  EXPECT_EQ(open(), "no error");
  const auto whole = std::filesystem::file_size(f.at("out/train.bin"));
  std::filesystem::resize_file(f.at("out/train.bin"), whole - 2);
  EXPECT_NE(open().find("was cut short"), std::string::npos) << open();
  std::filesystem::resize_file(f.at("out/train.bin"), whole);
  f.with("out/data.json", R"({"format": "crate tokens", "state": "unfinished"})");
  EXPECT_NE(open().find("was interrupted"), std::string::npos) << open();
  f.with("out/data.json", "{");
  EXPECT_NE(open().find("is damaged"), std::string::npos) << open();
}

TEST(Prepare, EmptyTextsAreErrorsThatLeaveNothing) {
  const Folder f;
  const auto message = [&](const std::string& text) {
    return message_of([&] { prepare(options_for(f, f.with("text.txt", text))); });
  };
  EXPECT_NE(message("").find("text.txt is empty"), std::string::npos) << message("");
  EXPECT_NE(message(articles(3)).find("no document is left for validation"), std::string::npos) << message(articles(3));
  EXPECT_NE(message("one text only\n").find("text.txt is one document"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(f.at("out")));
  PrepareOptions none;
  EXPECT_THROW(prepare(none), Error);
}

}  // namespace
}  // namespace crate
