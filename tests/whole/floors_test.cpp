// The house has floors: a file includes only what lies below it or beside it (docs/map.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Room {
  std::string folder;             // of src/, the deeper ones first: the first that fits counts
  std::vector<std::string> sees;  // folders of src/ whose headers its files may include
};

const std::vector<Room>& rooms() {
  static const std::vector<Room> all = {
      {"base/", {"base/"}},
      {"tensor/", {"base/", "tensor/"}},
      {"run/", {"base/", "tensor/", "run/"}},
      {"ops/", {"base/", "tensor/", "run/", "ops/"}},
      {"model/files/", {"base/", "tensor/", "model/files/"}},
      {"model/", {"base/", "tensor/", "run/", "ops/", "model/"}},
      {"work/data/", {"base/", "work/data/"}},
      {"work/", {"base/", "tensor/", "run/", "ops/", "model/", "work/"}},
      {"cli/", {"base/", "tensor/", "run/", "ops/", "model/", "work/", "cli/", "testing/"}},
  };
  return all;
}

bool starts_with_one_of(const std::string& path, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& p) { return path.rfind(p, 0) == 0; });
}

std::vector<std::string> own_includes(const fs::path& file) {
  static const std::regex include(R"rx(^\s*#\s*include\s*"([^"]+)")rx");
  std::vector<std::string> found;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_search(line, match, include)) found.push_back(match[1]);
  }
  return found;
}

bool is_code(const fs::path& file) {
  const std::string suffix = file.extension().string();
  return suffix == ".h" || suffix == ".cpp" || suffix == ".cu";
}

TEST(Floors, EveryIncludeLooksDownOrSideways) {
  const fs::path root = CRATE_SOURCE_DIR, src = root / "src";
  int includes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(src)) {
    if (!entry.is_regular_file() || !is_code(entry.path())) continue;
    const std::string file = fs::relative(entry.path(), src).generic_string();
    const auto room =
        std::find_if(rooms().begin(), rooms().end(), [&](const Room& r) { return file.rfind(r.folder, 0) == 0; });
    ASSERT_NE(room, rooms().end()) << "src/" << file
                                   << " lies on no floor; add its folder to tests/whole/floors_test.cpp";
    const bool is_test = file.size() > 9 && file.compare(file.size() - 9, 9, "_test.cpp") == 0;
    for (const std::string& header : own_includes(entry.path())) {
      ++includes;
      EXPECT_TRUE(fs::exists(src / header) || fs::exists(root / header))
          << "src/" << file << " includes \"" << header << "\": paths begin at src/ or at the project's root";
      const bool allowed = starts_with_one_of(header, room->sees) || (is_test && header.rfind("testing/", 0) == 0);
      EXPECT_TRUE(allowed) << "src/" << file << " includes \"" << header
                           << "\", which lies above it; move what both need down";
    }
  }
  EXPECT_GT(includes, 100) << "found too few includes under " << src << " to have read the house";
}

TEST(Floors, OnlyTestsAndTheCommandKnowTesting) {
  const fs::path root = CRATE_SOURCE_DIR;
  for (const auto& entry : fs::directory_iterator(root / "testing")) {
    if (!is_code(entry.path())) continue;
    for (const std::string& header : own_includes(entry.path()))
      EXPECT_FALSE(starts_with_one_of(header, {"work/", "cli/"}))
          << entry.path().filename() << " includes \"" << header << "\"; testing/ stands on src/model";
  }
}

}  // namespace
