// Words from pieces, what features say of them, WordNet's classes, and inventories of one's own.
#include "work/atoms/features.h"

#include <gtest/gtest.h>

#include <set>

#include "testing/folder.h"

namespace crate {
namespace {

std::set<std::string> names_at(Features& features, const Tokenizer& tokenizer, const std::string& text, int64_t at) {
  const FeatureList list = features.of(tokenizer.encode(text), 100, 100);
  std::set<std::string> out;
  for (const int32_t f : list.of(at)) out.insert(features.name(f));
  return out;
}

TEST(Features, AreToldOfEveryPieceOfAWord) {
  const auto bytes = byte_tokenizer();
  Features features(*bytes, load_inventory("none"));
  const std::string text = "He said: Running (42) of it, 1999.\nNEXT \xc3\xa9t\xc3\xa9";
  const auto at = [&](const std::string& piece, int64_t in) {
    return names_at(features, *bytes, text, static_cast<int64_t>(text.find(piece)) + in);
  };
  for (const int in : {0, 3, 6}) {
    EXPECT_TRUE(at("Running", in).contains("Capitalised word")) << in;
    EXPECT_TRUE(at("Running", in).contains("word in -ing")) << in;
    EXPECT_TRUE(at("Running", in).contains("word of 7-9 letters")) << in;
  }
  EXPECT_TRUE(at("Running", 0).contains("begins a word"));
  EXPECT_TRUE(at("Running", 3).contains("inside a word"));
  EXPECT_TRUE(at("Running", 6).contains("ends a word"));
  EXPECT_TRUE(at("42", 0).contains("number"));
  EXPECT_TRUE(at("42", 0).contains("inside brackets"));
  EXPECT_TRUE(at("42", 0).contains("after: opening bracket"));
  EXPECT_FALSE(at(" of", 0).contains("inside brackets"));
  EXPECT_TRUE(at("of", 1).contains("preposition"));
  EXPECT_TRUE(at(", 1999", 0).contains("comma"));
  EXPECT_TRUE(at("NEXT", 1).contains("ALL-CAPS word"));
  EXPECT_TRUE(at("NEXT", 0).contains("begins a sentence"));
  EXPECT_TRUE(at("\xc3", 0).contains("not ASCII"));
  const FeatureList first = features.of(bytes->encode("ab"), 0, 0);
  std::set<std::string> names;
  for (const int32_t f : first.of(0)) names.insert(features.name(f));
  EXPECT_TRUE(names.contains("first token of the document") && names.contains("first token of the window"));
}

TEST(Inventory, OfOnesOwn) {
  const Folder folder;
  const std::string path =
      folder.with("lists.tsv", "# comment\ncolour\tred, green blue\nfruit\tapple\tpear\nfruit\tFIG\n");
  const auto lists = load_inventory(path);
  EXPECT_EQ(lists->concepts(), (std::vector<std::string>{"colour", "fruit"}));
  EXPECT_EQ(lists->of("Green"), std::vector<int32_t>{0});
  EXPECT_EQ(lists->of("fig"), std::vector<int32_t>{1});
  EXPECT_TRUE(lists->of("stone").empty());
  EXPECT_NE(message_of([&] { load_inventory(folder.with("bad.tsv", "no tab here\n")); }), "no error");
  EXPECT_NE(message_of([&] { load_inventory(folder.with("none.tsv", "# nothing\n")); }), "no error");
  EXPECT_NE(message_of([] { load_inventory("no such inventory"); }), "no error");
  EXPECT_NE(message_of([&] { load_inventory("eight", folder.at("absent")); }).find("wordnet-base"), std::string::npos);
}

class WordNetTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_wordnet()) GTEST_SKIP() << "WordNet is not installed (Debian: wordnet-base)";
  }
  static std::set<std::string> of(Inventory& inventory, const std::string& word) {
    std::set<std::string> out;
    for (const int32_t c : inventory.of(word)) out.insert(inventory.concepts()[static_cast<std::size_t>(c)]);
    return out;
  }
};

TEST_F(WordNetTest, ClassesOfWords) {
  const auto supersenses = load_inventory("supersenses"), eight = load_inventory("eight");
  EXPECT_EQ(supersenses->concepts().size(), 45u);
  for (const char* word : {"dog", "Dogs", "mice", "geese"})
    EXPECT_TRUE(of(*supersenses, word).contains("noun.animal")) << word;
  EXPECT_TRUE(of(*supersenses, "walked").contains("verb.motion"));
  EXPECT_TRUE(of(*supersenses, "London").contains("noun.location"));
  for (const char* word : {"in", "a", "it", "the", "xqzzt", ""}) EXPECT_TRUE(of(*supersenses, word).empty()) << word;
  const std::pair<const char*, const char*> known[] = {{"women", "human"},  {"horse", "animal"},    {"oak", "plant"},
                                                       {"elbow", "body"},   {"hammer", "artifact"}, {"bread", "food"},
                                                       {"France", "place"}, {"weeks", "time"}};
  for (const auto& [word, what] : known) EXPECT_EQ(of(*eight, word), std::set<std::string>{what}) << word;
}

TEST_F(WordNetTest, ClosureClimbsToTheTop) {
  const auto closure = load_inventory("wordnet");
  const std::set<std::string> dog = of(*closure, "dogs");
  for (const char* above : {"dog (noun)", "canine (noun)", "carnivore (noun)", "animal (noun)", "entity (noun)"})
    EXPECT_TRUE(dog.contains(above)) << above;
  EXPECT_TRUE(of(*closure, "cat").contains("carnivore (noun)"));
  EXPECT_FALSE(of(*closure, "table").contains("carnivore (noun)"));
}

TEST_F(WordNetTest, PiecesAreJoinedForLookUps) {
  const auto bytes = byte_tokenizer();
  Features features(*bytes, load_inventory("supersenses"));
  for (const int64_t at : {4, 5, 6, 7})
    EXPECT_TRUE(names_at(features, *bytes, "the dogs run", at).contains("noun.animal")) << at;
  EXPECT_FALSE(names_at(features, *bytes, "the dogs run", 1).contains("noun.animal"));
  EXPECT_TRUE(names_at(features, *bytes, "the dogs run", 8).contains("after: noun.animal"));
}

}  // namespace
}  // namespace crate
