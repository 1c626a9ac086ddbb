// folder: what tests of files share: a folder that goes away, and the message of an error.
#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace crate {

/// A new empty folder, removed with everything in it at the end.
struct Folder {
  std::filesystem::path path;

  Folder() {
    std::string name = testing::TempDir() + "crate_test_XXXXXX";
    path = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string at(const std::string& name) const { return (path / name).string(); }
  /// Writes a file and gives its path.
  std::string with(const std::string& name, std::string_view text) const {
    write_atomically(at(name), text);
    return at(name);
  }
};

/// What f() threw as Error; "no error" when it did not.
template <class F> std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace crate
