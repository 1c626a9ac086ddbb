#include "model/files/pickle.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/files/pickle_json.h"
#include "model/files/pickle_text.h"

namespace crate {
namespace {

using namespace std::string_literals;

Pickle read(const std::string& bytes, const PickleLimits& limits = {}) {
  return read_pickle(std::as_bytes(std::span(bytes)), "test.pkl", limits);
}

std::string json_of(const std::string& bytes) {
  const Pickle p = read(bytes);
  EXPECT_EQ(p.length, bytes.size());
  return plain_json(p, p.top());
}

std::string error_of(const std::string& bytes, const PickleLimits& limits = {}) {
  try {
    read(bytes, limits);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

// The streams are what Python's pickle.dumps gives for the value named.
TEST(Pickle, PlainValuesOfEveryProtocol) {
  // {'a': [1, -2, 70000, 2**40], 'b': (1.5, None, True), 'c': 'ä'}
  const std::string expected = R"({"a":[1,-2,70000,1099511627776],"b":[1.5,null,true],"c":"ä"})";
  EXPECT_EQ(
      json_of("(dp0\nVa\np1\n(lp2\nI1\naI-2\naI70000\naL1099511627776L\nasVb\np3\n(F1.5\nNI01\ntp4\nsVc\np5\nV\xe4\n"
              "p6\ns."),
      expected);
  EXPECT_EQ(json_of("\x80\x02}q\x00(X\x01\x00\x00\x00"s +
                    "aq\x01]q\x02(K\x01J\xfe\xff\xff\xffJp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01"s +
                    "eX\x01\x00\x00\x00"s + "bq\x03G?\xf8\x00\x00\x00\x00\x00\x00N\x88\x87q\x04X\x01\x00\x00\x00"s +
                    "cq\x05X\x02\x00\x00\x00\xc3\xa4q\x06u."s),
            expected);
  EXPECT_EQ(json_of("\x80\x04\x95\x2f\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01"s +
                    "a\x94]\x94(K\x01J\xfe\xff\xff\xffJp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01"s + "e\x8c\x01"s +
                    "b\x94G?\xf8\x00\x00\x00\x00\x00\x00N\x88\x87\x94\x8c\x01"s + "c\x94\x8c\x02\xc3\xa4\x94u."s),
            expected);
}

TEST(Pickle, SharedAndCyclicValues) {
  const Pickle p = read("\x80\x02]q\x00h\x00"s + "a."s);  // a list that holds itself
  EXPECT_EQ(p.top().items, std::vector<PickleRef>{p.root});
  EXPECT_LT(plain_json(p, p.top()).size(), 1000u);
  std::string laughs = "\x80\x02(X\x04\x00\x00\x00laugl"s;  // each list holds the one before it twenty times
  for (int i = 0; i < 30; ++i) {
    laughs += "q\x01](" + std::string(40, ' ') + "e";
    for (std::size_t k = 0; k < 20; ++k) laughs.replace(laughs.size() - 41 + 2 * k, 2, "h\x01");
  }
  EXPECT_LT(json_of(laughs + ".").size(), std::size_t{8} << 20);
}

TEST(Pickle, TheLastOfTwoEqualKeysCounts) {
  const Pickle p = read("\x80\x02}(X\x01\x00\x00\x00kK\x01X\x01\x00\x00\x00kK\x02u."s);
  EXPECT_EQ(p.find(p.top(), "k")->integer, 2);
  EXPECT_EQ(p.find(p.top(), "absent"), nullptr);
}

TEST(Pickle, ObjectsOfTheAllowList) {
  EXPECT_EQ(json_of("\x80\x02"s + "cargparse\nNamespace\n)\x81}X\x01\x00\x00\x00kK\x07sb."s), R"({"k":7})");
  EXPECT_EQ(json_of("\x80\x02"s + "ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00kK\x07sb."s), "{}");
  EXPECT_EQ(json_of("\x80\x02"s + "c__builtin__\nset\n](K\x01K\x02"s + "e\x85R."s), "[1,2]");
  EXPECT_EQ(json_of("\x80\x02"s + "ctorch\nfloat32\n."s), R"("torch.float32")");
  const Pickle bytes =
      read("\x80\x02"s + "c_codecs\nencode\n(X\x03\x00\x00\x00"s + "a\xc3\xbfX\x06\x00\x00\x00latin1tR."s);
  EXPECT_EQ(bytes.top().kind, PickleKind::bytes);
  EXPECT_EQ(bytes.top().text, "a\xff");
}

TEST(Pickle, RefusesEveryOtherNameAndInstruction) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"cos\nsystem\n(X\x02\x00\x00\x00lstR."s, "'os.system'"},
      {"cbuiltins\neval\n."s, "'builtins.eval'"},
      {"\x8c\x02os\x8c\x06system\x93."s, "'os.system'"},
      {"c__builtin__\ngetattr\n."s, "'__builtin__.getattr'"},
      {"(X\x02\x00\x00\x00lsios\nsystem\n."s, "0x69"},  // INST
      {"\x82\x01."s, "0x82"},                           // EXT1
      {"Pkey\n."s, "0x50"},                             // PERSID
      {"ctorch\nFloatStorage\n)R."s, "must not be called"},
      {"K\x01)R."s, "not a function"},
  };
  for (const auto& [bytes, says] : bad) {
    const std::string message = error_of(bytes);
    EXPECT_NE(message.find(says), std::string::npos) << message;
    EXPECT_EQ(message.find("test.pkl: "), 0U) << message;
  }
}

TEST(Pickle, RefusesDamage) {
  for (const std::string& bytes : {""s,
                                   "."s,
                                   "("s,
                                   "(."s,
                                   "t."s,
                                   "0."s,
                                   "a."s,
                                   "]a."s,
                                   "K\x01K\x02"s + "a."s,
                                   "}(K\x01u."s,
                                   "h\x00."s,
                                   "K"s,
                                   "X\xff\xff\xff\xffx."s,
                                   "X\x01\x00\x00\x00\xff."s,
                                   "\x8d\xff\xff\xff\xff\xff\xff\xff\xff."s,
                                   "I12x\n."s,
                                   "F1.5"s,
                                   "\x80\x09."s,
                                   "S'abc\n."s,
                                   "S'\\q'\n."s,
                                   "V\\u12\n."s,
                                   "V\\ud800\n."s,
                                   "\x87."s,
                                   "q\x00."s,
                                   "N(N"s,
                                   "2."s,
                                   "N}b."s,
                                   "NQ."s,
                                   "(d(K\x01tQ."s}) {
    EXPECT_NE(error_of(bytes), "") << testing::PrintToString(bytes);
  }
}

TEST(Pickle, BoundsMemoryAndWork) {
  const std::string many = "(" + std::string(100000, 'N') + "t.";
  EXPECT_EQ(error_of(many), "");
  EXPECT_NE(error_of(many, {.nodes = 1000}).find("more values"), std::string::npos);
  EXPECT_NE(error_of(many, {.work = 1000}).find("more work"), std::string::npos);
}

TEST(PickleText, Utf8) {
  EXPECT_TRUE(is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
  for (const char* bad : {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "a\xff"}) {
    EXPECT_FALSE(is_utf8(bad)) << testing::PrintToString(bad);
  }
  EXPECT_EQ(from_raw_unicode_escape("\\u20ac\\U0001F600\xe4", ""), "\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa4");
  EXPECT_EQ(from_quoted(R"('a\n\x41\'')", ""), "a\nA'");
}

}  // namespace
}  // namespace crate
