// docs/map.md tells where everything is. A line of it begins "- `path` what it holds"; a path may name several files at
// once, `src/base/file{.h,.cpp,_test.cpp}`. The map lists every file of the folders below, and nothing that is absent.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const std::vector<std::string> folders = {"src", "testing", "tests", "bench", "fuzz", "recipes", "scripts"};
const std::set<std::string> suffixes = {".h", ".cpp", ".cu", ".py", ".sh", ".toml", ".dict"};

// "a{.h,.cpp}" -> a.h, a.cpp
std::vector<std::string> files_named(const std::string& pattern) {
  const std::size_t open = pattern.find('{'), close = pattern.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return {pattern};
  std::vector<std::string> files;
  std::istringstream endings(pattern.substr(open + 1, close - open - 1));
  for (std::string ending; std::getline(endings, ending, ',');)
    files.push_back(pattern.substr(0, open) + ending + pattern.substr(close + 1));
  return files;
}

struct Line {
  int number;
  std::string files, text;
};

std::vector<Line> map_lines() {
  std::vector<Line> lines;
  std::ifstream in(std::string(CRATE_SOURCE_DIR) + "/docs/map.md");
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.rfind("- `", 0) != 0) continue;
    const std::size_t end = line.find('`', 3);
    if (end != std::string::npos) lines.push_back({number, line.substr(3, end - 3), line.substr(end + 1)});
  }
  return lines;
}

std::set<std::string> project_files() {
  std::set<std::string> files;
  for (const std::string& folder : folders) {
    const fs::path at = fs::path(CRATE_SOURCE_DIR) / folder;
    if (!fs::exists(at)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(at))
      if (entry.is_regular_file() && suffixes.count(entry.path().extension().string()))
        files.insert(fs::relative(entry.path(), CRATE_SOURCE_DIR).generic_string());
  }
  return files;
}

TEST(Map, ListsEveryFileOnce) {
  std::map<std::string, int> listed;
  for (const Line& line : map_lines())
    for (const std::string& file : files_named(line.files)) ++listed[file];
  ASSERT_FALSE(listed.empty()) << "docs/map.md has no line of the form \"- `path` what it holds\"";
  for (const std::string& file : project_files())
    EXPECT_EQ(listed[file], 1) << file << ": docs/map.md should have one line for it";
}

TEST(Map, ListsNothingThatIsAbsentAndSaysWhatEachIs) {
  for (const Line& line : map_lines()) {
    for (const std::string& file : files_named(line.files))
      EXPECT_TRUE(fs::exists(fs::path(CRATE_SOURCE_DIR) / file))
          << "docs/map.md:" << line.number << " lists " << file << ", which is absent";
    EXPECT_GT(std::count_if(line.text.begin(), line.text.end(), [](unsigned char c) { return std::isalpha(c); }), 10)
        << "docs/map.md:" << line.number << " does not say what " << line.files << " is";
  }
}

}  // namespace
