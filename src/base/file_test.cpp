#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "testing/folder.h"

namespace crate {
namespace {

std::size_t files_in(const Folder& f) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(f.path), {}));
}

TEST(File, AHeaderIsFilledInAtTheEnd) {
  const Folder f;
  AtomicFile file(f.at("a"));
  file.write("....body");
  file.overwrite(1, std::as_bytes(std::span("head", 3)));
  file.write(" and more");
  file.commit();
  EXPECT_EQ(read_text_file(f.at("a")), ".heabody and more");
}

TEST(File, WritesWholeOrNotAtAll) {
  const Folder f;
  write_atomically(f.at("a"), std::string_view("first"));
  {
    AtomicFile half(f.at("a"));
    half.write("second, never committed");
  }
  EXPECT_EQ(read_text_file(f.at("a")), "first");
  EXPECT_EQ(files_in(f), 1u);
  write_atomically(f.at("a"), std::string_view(""));
  EXPECT_EQ(read_text_file(f.at("a")), "");
  EXPECT_THROW(MappedFile(f.at("absent")), Error);
  EXPECT_THROW(MappedFile(f.path.string()), Error);
  ASSERT_EQ(mkfifo(f.at("pipe").c_str(), 0600), 0);
  EXPECT_THROW(MappedFile(f.at("pipe")), Error) << "a pipe that nobody writes to must not block";
}

TEST(File, AFullDiskLeavesTheOldFile) {
  const Folder f;
  write_atomically(f.at("a"), std::string_view("old"));
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{4096, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    write_atomically(f.at("a"), std::span<const std::byte>(std::vector<std::byte>(100000)));
  } catch (const Error& e) {
    message = e.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find(f.at("a")), std::string::npos) << message;
  EXPECT_NE(message.find("free some space"), std::string::npos) << message;
  EXPECT_EQ(read_text_file(f.at("a")), "old");
  EXPECT_EQ(files_in(f), 1u);
}

TEST(File, DevicesAndPipesAreWrittenNotReplaced) {
  const Folder f;
  ASSERT_EQ(mkfifo(f.at("pipe").c_str(), 0600), 0);
  const int reader = open(f.at("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  write_atomically(f.at("pipe"), std::string_view("through"));
  char bytes[16];
  EXPECT_EQ(read(reader, bytes, sizeof bytes), 7);
  close(reader);
  EXPECT_TRUE(std::filesystem::is_fifo(f.at("pipe")));
  if (!std::filesystem::is_character_file("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  EXPECT_THROW(write_atomically("/dev/full", std::string_view("more")), Error);
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST(Sha256, KnownAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::string abc = "abc";
  EXPECT_EQ(sha256_hex(std::as_bytes(std::span(abc))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace crate
