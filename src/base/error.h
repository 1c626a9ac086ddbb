// error: the one exception of the library, and the one way to demand something.
// A message says who, what was expected, what came, and, for a file, its name and the remedy:
//   "[ista] dict must be (m, 384), came (384, 1536)"
#pragma once
#include <fmt/core.h>

#include <stdexcept>
#include <utility>

namespace crate {

/// Everything the libraries throw. The command line prints what() as one line and exits 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error with the formatted message.
template <class... Args> [[noreturn]] void fail(fmt::format_string<Args...> message, Args&&... args) {
  throw Error(fmt::format(message, std::forward<Args>(args)...));
}

/// Throws Error with the formatted message unless `ok`.
template <class... Args> void require(bool ok, fmt::format_string<Args...> message, Args&&... args) {
  if (!ok) throw Error(fmt::format(message, std::forward<Args>(args)...));
}

}  // namespace crate
