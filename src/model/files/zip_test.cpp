#include "model/files/zip.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"

namespace crate {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// An archive of three entries, as a string.
std::string archive() {
  const std::string path = testing::TempDir() + "crate_zip_test.zip";
  const std::string first = "first", second(1000, 's');
  AtomicFile file(path);
  ZipWriter zip(file);
  zip.add("a/one", bytes_of(first));
  zip.add("a/two", bytes_of(second));
  zip.add("a/empty", {});
  zip.finish();
  file.commit();
  std::string bytes = read_text_file(path);
  std::filesystem::remove(path);
  return bytes;
}

std::string error_of(const std::string& bytes) {
  try {
    const ZipReader zip(bytes_of(bytes), "test.zip");
    for (const std::string& name : zip.names()) zip.read(name);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Zip, ReadsWhatItWrites) {
  const std::string bytes = archive();
  const ZipReader zip(bytes_of(bytes), "test.zip");
  EXPECT_EQ(zip.names(), (std::vector<std::string>{"a/empty", "a/one", "a/two"}));
  EXPECT_EQ(text_of(zip.read("a/one")), "first");
  EXPECT_EQ(zip.read("a/two").size(), 1000u);
  EXPECT_TRUE(zip.read("a/empty").empty());
  EXPECT_TRUE(zip.has("a/one"));
  EXPECT_THROW(zip.read("a/three"), Error);
}

TEST(Zip, FindsTheDirectoryBeforeAComment) {
  std::string bytes = archive();
  bytes[bytes.size() - 2] = 7;
  bytes += "comment";
  EXPECT_EQ(error_of(bytes), "");
  EXPECT_NE(error_of(bytes + "x").find("no directory"), std::string::npos);
}

TEST(Zip, RefusesDamage) {
  const std::string good = archive();
  ASSERT_EQ(error_of(good), "");
  for (std::size_t n = 0; n < good.size(); ++n) ASSERT_NE(error_of(good.substr(0, n)), "") << n;
  std::string flipped = good;
  flipped[good.find("sss") + 500] = 't';
  EXPECT_NE(error_of(flipped).find("'a/two' has a wrong checksum"), std::string::npos);
  std::string renamed = good;
  renamed.replace(good.find("a/one"), 5, "a/six");
  EXPECT_NE(error_of(renamed).find("another name"), std::string::npos);
  std::string twice = good;
  for (std::size_t at = twice.find("a/two"); at != std::string::npos; at = twice.find("a/two")) {
    twice.replace(at, 5, "a/one");
  }
  EXPECT_NE(error_of(twice).find("comes twice"), std::string::npos);
}

TEST(Zip, RefusesEntriesThatOverlap) {
  const std::string inner = archive();
  const std::string path = testing::TempDir() + "crate_zip_overlap.zip";
  AtomicFile file(path);
  ZipWriter zip(file);
  zip.add("b/two", bytes_of(inner));
  zip.add("a/one", bytes_of(inner));
  zip.finish();
  file.commit();
  std::string bytes = read_text_file(path);
  std::filesystem::remove(path);
  ASSERT_EQ(error_of(bytes), "");
  // In the directory, send a/one to the copy of it that lies inside b/two: its size and checksum follow.
  const std::size_t record = bytes.rfind("a/one") - 46, copy = bytes.find("a/one") - 30;
  ASSERT_LT(copy, bytes.find("a/two"));
  const uint64_t size = 5, offset = copy;
  bytes.replace(record + 46 + 5 + 4, 8, reinterpret_cast<const char*>(&size), 8);
  bytes.replace(record + 46 + 5 + 12, 8, reinterpret_cast<const char*>(&size), 8);
  bytes.replace(record + 46 + 5 + 20, 8, reinterpret_cast<const char*>(&offset), 8);
  EXPECT_NE(error_of(bytes).find("overlap"), std::string::npos) << error_of(bytes);
}

}  // namespace
}  // namespace crate
