// What README.md tells people to type works. Its ```sh blocks are run line by line in one fresh folder, so that a line
// may use what an earlier one made. Commands that would take minutes are given smaller amounts of the same work.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The lines of the ```sh blocks, continued lines joined, comments left out.
std::vector<std::string> readme_commands() {
  std::vector<std::string> commands;
  std::ifstream in(std::string(CRATE_SOURCE_DIR) + "/README.md");
  bool inside = false;
  std::string pending;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("```", 0) == 0) {
      inside = !inside && line == "```sh";
      continue;
    }
    if (!inside) continue;
    if (!line.empty() && line.back() == '\\') {
      pending += line.substr(0, line.size() - 1);
      continue;
    }
    line = pending + line;
    pending.clear();
    if (!line.empty() && line[0] != '#') commands.push_back(line);
  }
  return commands;
}

// Later options win over earlier ones, so the smaller amounts are simply added.
std::string shortened(const std::string& command) {
  static const std::map<std::string, std::string> less = {
      {"train", " --set train.steps=2 --set train.batch=2 --set train.eval_every=2 --set train.eval_tokens=512"},
      {"eval", " --max-tokens 1024"},
      {"bench", " --size tiny --batch 1 --repeats 1"},
  };
  std::smatch match;
  if (!std::regex_search(command, match, std::regex(R"(^(?:build/bin/)?crate\s+([a-z]+))"))) return command;
  const auto found = less.find(match[1]);
  return found == less.end() ? command : command + found->second;
}

class Readme : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "crate_readme_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    for (const char* shared : {"recipes", "data", "fixtures"})
      fs::create_directory_symlink(fs::path(CRATE_SOURCE_DIR) / shared, folder_ / shared);
    fs::create_directory_symlink(CRATE_BINARY_DIR, folder_ / "build");
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(Readme, CommandsRun) {
  int ran = 0;
  for (const std::string& command : readme_commands()) {
    if (command.find("crate ") == std::string::npos) continue;
    const std::string line = "cd '" + folder_.string() + "' && PATH=\"$PWD/build/bin:$PATH\" && " + shortened(command) +
                             " > output.txt 2>&1 < /dev/null";
    EXPECT_EQ(std::system(line.c_str()), 0) << command << "\nsaid:\n" << text_of(folder_ / "output.txt");
    ++ran;
  }
  EXPECT_GT(ran, 0) << "README.md has no ```sh block with a crate command";
}

TEST_F(Readme, MakeTargetsExist) {
  const std::string makefile = text_of(fs::path(CRATE_SOURCE_DIR) / "Makefile");
  std::set<std::string> named;
  for (const std::string& command : readme_commands()) {
    std::istringstream words(command);
    std::string word;
    if (!(words >> word) || word != "make") continue;
    while (words >> word && word[0] != '#') named.insert(word);
  }
  EXPECT_TRUE(named.count("demo") && named.count("test")) << "README.md begins with make demo and make test";
  for (const std::string& target : named)
    EXPECT_TRUE(std::regex_search(makefile, std::regex("(^|\n)" + target + "( [a-z ]+)?:"))) << "make " << target;
}

}  // namespace
