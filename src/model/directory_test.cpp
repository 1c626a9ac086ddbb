// Directories that change as a whole: every moment at which a writer can die, full disks, damaged files.
#include "model/directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "testing/folder.h"

namespace crate {
namespace {

namespace fs = std::filesystem;

class Directory : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder); }
  void TearDown() override { fs::remove_all(folder); }

  static constexpr std::array<const char*, 3> names = {"a.txt", "b.txt", "c.txt"};

  // A generation: three files that all hold its number, the second much longer than the others.
  void put(DirectoryWriter& writer, int generation) const {
    for (const char* name : names)
      writer.text(name, std::to_string(generation) + std::string(name[0] == 'b' ? 100'000 : 10, ' '));
  }
  void write(int generation) const {
    DirectoryWriter writer(folder);
    put(writer, generation);
    writer.commit();
  }
  // The generation of all three files; -1 when they disagree.
  int read() const {
    const DirectoryReader reader(folder);
    const auto number = [&](const char* name) { return std::stoi(read_text_file(reader.path(name))); };
    const int first = number(names[0]);
    return number(names[1]) == first && number(names[2]) == first ? first : -1;
  }
  std::string at(const std::string& name) const { return folder + "/" + name; }

  const std::string folder = testing::TempDir() + "crate_directory_test_" + std::to_string(getpid());
};

TEST_F(Directory, IsNothingBeforeItIsComplete) {
  EXPECT_NE(message_of([&] { DirectoryReader{folder}; }).find("no model directory"), std::string::npos);
  {
    DirectoryWriter writer(folder);
    put(writer, 1);
  }
  EXPECT_FALSE(is_complete_directory(folder));
  EXPECT_NE(message_of([&] { DirectoryReader{folder}; }).find("not a complete model directory"), std::string::npos);
  write(2);
  EXPECT_TRUE(is_complete_directory(folder));
  EXPECT_EQ(read(), 2);
}

TEST_F(Directory, DyingBeforeTheMarkLeavesTheOldGeneration) {
  write(1);
  for (std::size_t written = 0; written <= names.size(); ++written) {
    DirectoryWriter writer(folder);
    for (std::size_t i = 0; i < written; ++i) writer.text(names[i], "2");
    EXPECT_EQ(read(), 1) << written;
  }
  write(3);
  EXPECT_EQ(read(), 3);
}

// After the mark any set of the renames may be missing; and the next writer brings them to an end.
TEST_F(Directory, DyingAfterTheMarkLeavesTheNewGeneration) {
  for (unsigned missing = 0; missing < 8; ++missing) {
    fs::remove_all(folder);
    write(1);
    std::vector<std::string> old;
    for (const char* name : names) old.push_back(read_text_file(at(name)));
    write(2);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!(missing >> i & 1U)) continue;
      fs::rename(at(names[i]), at(names[i]) + ".new");
      write_atomically(at(names[i]), old[i]);
    }
    EXPECT_EQ(read(), 2) << missing;
    { const DirectoryWriter writer(folder); }
    EXPECT_EQ(read(), 2) << missing;
    for (const char* name : names) EXPECT_FALSE(fs::exists(at(name) + ".new")) << name;
  }
}

TEST_F(Directory, SurvivesRealKills) {
  write(0);
  int last = 0;
  // Longer and longer lives, until some generations have been finished, however slow the disk is.
  for (double life = 1000; last < 4; life *= 1.25) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int generation = last + 1;; ++generation) write(generation);
    }
    usleep(static_cast<useconds_t>(life));
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    const int now = read();
    ASSERT_GE(now, last);
    last = now;
  }
  write(last + 1);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++files;
  EXPECT_EQ(files, names.size() + 1) << "nothing is left over";
}

TEST_F(Directory, AFullDiskLeavesTheOldGeneration) {
  write(1);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // A limit on file sizes stands in for the end of the disk: the write fails in the middle of the second file.
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{50'000, 50'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = message_of([&] { write(2); });
    const bool clear =
        message.find("b.txt") != std::string::npos && message.find("free some space") != std::string::npos;
    _exit(clear ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(read(), 1);
}

TEST_F(Directory, NamesADamagedFileAndTheRemedy) {
  write(1);
  const std::string whole = read_text_file(at("b.txt"));
  const auto error = [&] { return message_of([&] { static_cast<void>(read()); }); };
  for (const std::size_t place : {std::size_t{0}, whole.size() / 2, whole.size() - 1}) {
    std::string flipped = whole;
    flipped[place] = static_cast<char>(flipped[place] ^ 4);
    write_atomically(at("b.txt"), flipped);
    EXPECT_NE(error().find("b.txt does not have the hash"), std::string::npos) << error();
    EXPECT_NE(error().find("restore it from a copy"), std::string::npos);
  }
  write_atomically(at("b.txt"), whole.substr(0, whole.size() - 1));
  EXPECT_NE(error().find("b.txt does not have the hash"), std::string::npos);
  fs::remove(at("b.txt"));
  EXPECT_NE(error().find("b.txt is missing"), std::string::npos);
  write_atomically(at("b.txt"), whole);
  EXPECT_EQ(read(), 1);
}

TEST_F(Directory, RefusesADamagedMark) {
  write(1);
  const std::string mark = at("complete.json"), whole = read_text_file(mark);
  for (const std::string& damaged :
       {whole.substr(0, whole.size() / 2), std::string("[]"), std::string(R"({"files": 3})"),
        std::string(R"({"files": {"a.txt": 3}})"), std::string(R"({"files": {"../a.txt": "00"}})")}) {
    write_atomically(mark, damaged);
    EXPECT_NE(message_of([&] { static_cast<void>(read()); }).find("complete.json is damaged"), std::string::npos);
  }
}

TEST_F(Directory, KeepsOrReplacesWhatIsNotWrittenAgain) {
  write(1);
  {
    DirectoryWriter writer(folder);
    writer.text("a.txt", "2");
    writer.commit();
  }
  EXPECT_TRUE(DirectoryReader(folder).has("b.txt"));
  {
    DirectoryWriter writer(folder);
    writer.replace_all();
    writer.text("a.txt", "3");
    EXPECT_TRUE(fs::exists(at("b.txt")));
    writer.commit();
  }
  EXPECT_FALSE(DirectoryReader(folder).has("b.txt"));
  EXPECT_FALSE(fs::exists(at("b.txt")));
  EXPECT_EQ(read_text_file(DirectoryReader(folder).path("a.txt")), "3");
}

TEST_F(Directory, ReadersNoticeANewGeneration) {
  write(1);
  const DirectoryReader reader(folder);
  EXPECT_FALSE(reader.is_outdated());
  write(2);
  EXPECT_TRUE(reader.is_outdated());
  EXPECT_NE(message_of([&] { static_cast<void>(reader.path("a.txt")); }), "");
}

}  // namespace
}  // namespace crate
