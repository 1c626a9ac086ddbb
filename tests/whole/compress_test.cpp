// crate compress as a user meets it: files of every kind, pipes, what is never overwritten, what is never left behind.
#include <gtest/gtest.h>

#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "tests/whole/process.h"
#include "work/compress/archive.h"
#include "work/compress/packed_model.h"

namespace crate::whole {
namespace {

namespace fs = std::filesystem;

class Compress : public testing::Test {
 protected:
  void SetUp() override {
    const Outcome o = run_crate(tiny_training(folder.at("trained"), {"--set", "train.steps=8"}));
    ASSERT_EQ(o.code, 0) << o.err;
    const Outcome q = run_crate({"quantize", folder.at("trained"), "--bits", "4", "--text", "README.md", "-o", model});
    ASSERT_EQ(q.code, 0) << q.err;
  }
  Folder folder;
  std::string model = folder.at("m.crq");
};

// Text, a picture, noise, nothing and next to nothing.
std::vector<std::string> kinds() {
  const std::string root = CRATE_SOURCE_DIR;
  std::string noise;
  for (uint64_t i = 0; i < 3000; ++i) noise.push_back(static_cast<char>(Rng(1, Stream::test).bits(1, i)));
  return {read_file(root + "/recipes/demo.toml"), read_file(root + "/fixtures/good_zip.pth"), noise, "", "x"};
}

TEST_F(Compress, EveryModeBringsEveryFileBack) {
  const std::vector<std::vector<std::string>> modes = {
      {"--model", model},
      {"--model", model, "--embed", "--streams", "3"},
      {"--model", model, "--mix", "--report"},
      {"--online", "--mix", "--set", "dim=16", "--set", "heads=2", "--set", "layers=1", "--set", "batch=2"}};
  for (const std::string& content : kinds()) {
    write_file(folder.at("in"), content);
    for (const auto& mode : modes) {
      std::vector<std::string> make = {"compress", folder.at("in"), "-o", folder.at("a.crz"), "--force"};
      make.insert(make.end(), mode.begin(), mode.end());
      const Outcome c = run_crate(make);
      ASSERT_EQ(c.code, 0) << c.err;
      const bool needs = mode[0] == "--model" && mode.size() != 5;
      std::vector<std::string> read = {"decompress", folder.at("a.crz"), "-o", folder.at("out"), "--force"};
      if (needs) read.insert(read.end(), {"--model", model});
      const Outcome d = run_crate(read);
      ASSERT_EQ(d.code, 0) << d.err;
      EXPECT_EQ(read_file(folder.at("out")), content);
      const std::size_t inside = mode.size() == 5 ? fs::file_size(model) + 8 : 0;
      EXPECT_LE(fs::file_size(folder.at("a.crz")), content.size() * 1001 / 1000 + 64 + inside);
    }
  }
}

TEST_F(Compress, PipesAndFolders) {
  const std::string m = " --model " + model;
  const Outcome piped = run_shell("crate compress README.md -o -" + m + " | crate decompress - -o - " + m);
  EXPECT_EQ(piped.code, 0) << piped.err;
  EXPECT_EQ(piped.out, read_file(std::string(CRATE_SOURCE_DIR) + "/README.md"));
  const Outcome two = run_crate({"compress", "LICENSE", "Makefile", "-o", folder.at("two.crz"), "--model", model});
  ASSERT_EQ(two.code, 0) << two.err;
  const Outcome back = run_crate({"decompress", folder.at("two.crz"), "-o", folder.at("back"), "--model", model});
  ASSERT_EQ(back.code, 0) << back.err;
  EXPECT_EQ(read_file(folder.at("back/LICENSE")), read_file(std::string(CRATE_SOURCE_DIR) + "/LICENSE"));
  EXPECT_EQ(read_file(folder.at("back/Makefile")), read_file(std::string(CRATE_SOURCE_DIR) + "/Makefile"));
}

TEST_F(Compress, NothingIsOverwrittenAndNoHalfFileStays) {
  write_file(folder.at("kept"), "mine");
  EXPECT_NE(run_crate({"compress", "LICENSE", "-o", folder.at("kept"), "--model", model}).code, 0);
  ASSERT_EQ(run_crate({"compress", "LICENSE", "-o", folder.at("a.crz"), "--model", model}).code, 0);
  EXPECT_NE(run_crate({"decompress", folder.at("a.crz"), "-o", folder.at("kept"), "--model", model}).code, 0);
  EXPECT_EQ(read_file(folder.at("kept")), "mine");
  // Damage near the end: what was decoded before it must not appear under the name.
  std::string damaged = read_file(folder.at("a.crz"));
  damaged[damaged.size() - 3] = static_cast<char>(damaged[damaged.size() - 3] ^ 4);
  write_file(folder.at("b.crz"), damaged);
  const Outcome o = run_crate({"decompress", folder.at("b.crz"), "-o", folder.at("half"), "--model", model});
  EXPECT_NE(o.code, 0);
  EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
  EXPECT_NE(run_crate({"test", folder.at("b.crz")}).code, 0);
  EXPECT_EQ(run_crate({"test", folder.at("a.crz")}).code, 0);
  const Outcome missing = run_crate({"compress", "LICENSE", "nowhere", "-o", folder.at("c.crz"), "--model", model});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("cannot read nowhere"), std::string::npos) << missing.err;
  for (const auto& entry : fs::directory_iterator(folder.at("")))
    EXPECT_TRUE(entry.path().filename() == "kept" || entry.path().extension() == ".crz" ||
                entry.path().extension() == ".crq" || entry.path().filename() == "trained")
        << entry.path();
  EXPECT_FALSE(fs::exists(folder.at("c.crz")));
}

TEST_F(Compress, TenThousandGeneratedFilesComeBack) {
  const QuantizedModel loaded = load_quantized(model);
  const Rng rng(2, Stream::test);
  // Short files of few or many letters, with repetitions, a hundred an archive.
  for (uint64_t set = 0; set < 100; ++set) {
    std::vector<InputFile> files;
    std::vector<std::string> wanted, got;
    for (uint64_t f = 0; f < 100; ++f) {
      std::string bytes;
      const uint64_t size = rng.below(40, set, 3 * f), letters = 1 + rng.below(256, set, 3 * f + 1);
      for (uint64_t i = 0; i < size; ++i)
        bytes.push_back(i > 9 && i % 3 != 0 ? bytes[i - 9]
                                            : static_cast<char>(rng.below(letters, 1000 + set, f * 64 + i)));
      wanted.push_back(bytes);
      files.push_back({std::to_string(f), source_of(bytes)});
    }
    std::string archive;
    compress(loaded, files, [&](std::string_view b) { archive += b; }, {.mix = set % 50 == 0});
    DecompressOptions options;
    options.model = [&] { return loaded; };
    options.open = [&](const std::string&) {
      got.emplace_back();
      return [&](std::string_view b) { got.back() += b; };
    };
    decompress(source_of(archive), options);
    ASSERT_EQ(got, wanted) << set;
  }
}

}  // namespace
}  // namespace crate::whole
