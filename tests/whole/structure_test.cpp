// The house: includes only look down, the map is true, files stay small.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
const fs::path root = CRATE_SOURCE_DIR;
const std::array<std::string, 7> floors = {"base", "tensor", "run", "ops", "model", "work", "cli"};

std::vector<fs::path> files_under(const std::vector<std::string>& folders) {
  std::vector<fs::path> out;
  for (const std::string& folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (entry.is_regular_file() && extension != ".dict" && extension != ".pyc")
        out.push_back(fs::relative(entry.path(), root));
    }
  }
  return out;
}

int floor_of(const std::string& room) {
  const auto it = std::find(floors.begin(), floors.end(), room);
  return it == floors.end() ? -1 : static_cast<int>(it - floors.begin());
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream in(root / path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Structure, FloorsOnlyLookDown) {
  const std::regex include("^#include \"([a-z]+)/[^\"]*\"");
  int seen = 0;
  for (const fs::path& file : files_under({"src"})) {
    const std::string room = *std::next(file.begin());
    const int floor = floor_of(room);
    ASSERT_GE(floor, 0) << file << " stands in no room";
    const bool may_test = file.string().ends_with("_test.cpp") || room == "cli";
    for (const std::string& line : lines_of(file)) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      ++seen;
      const std::string target = match[1];
      if (target == "testing" && may_test) continue;
      const int below = floor_of(target);
      EXPECT_GE(below, 0) << file << ": " << line;
      EXPECT_LE(below, floor) << file << " looks up: " << line;
    }
  }
  EXPECT_GT(seen, 100);
}

TEST(Structure, TheParsersKnowOnlyTheirCellar) {
  const std::regex include("^#include \"(run|ops|model/[a-z_]+\\.h|work/(train|eval|generate))");
  for (const fs::path& file : files_under({"src/model/files", "src/work/data"})) {
    for (const std::string& line : lines_of(file))
      EXPECT_FALSE(std::regex_search(line, include)) << file << ": " << line;
  }
}

TEST(Structure, ImagesKnowOnlyTheBase) {
  const std::regex include("^#include \"(base|testing|work/image)/");
  for (const fs::path& file : files_under({"src/work/image"})) {
    for (const std::string& line : lines_of(file)) {
      EXPECT_TRUE(!line.starts_with("#include \"") || std::regex_search(line, include)) << file << ": " << line;
    }
  }
}

TEST(Structure, TheMapIsTrue) {
  std::set<std::string> listed, there;
  const std::regex entry("^- `([^`]+)`: .");
  for (const std::string& line : lines_of("docs/map.md")) {
    std::smatch match;
    if (!std::regex_search(line, match, entry)) continue;
    EXPECT_TRUE(listed.insert(match[1]).second) << "listed twice: " << match[1];
  }
  for (const fs::path& file : files_under({"src", "testing", "tests", "bench", "fuzz", "recipes", "scripts", "web"}))
    there.insert(file);
  for (const std::string& file : there) EXPECT_TRUE(listed.contains(file)) << "docs/map.md does not list " << file;
  for (const std::string& file : listed)
    EXPECT_TRUE(there.contains(file)) << "docs/map.md lists what is not there: " << file;
}

TEST(Structure, FilesStaySmall) {
  for (const fs::path& file : files_under({"src", "testing", "tests"})) EXPECT_LE(lines_of(file).size(), 600u) << file;
}

}  // namespace
