// stream: bytes of tokens in, text out as soon as it is certain: whole UTF-8 characters, and nothing that may still
// turn out to be the beginning of a stop string.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace crate {

class TextStream {
 public:
  TextStream(std::vector<std::string> stop, std::function<void(std::string_view)> emit)
      : stop_(std::move(stop)), emit_(std::move(emit)) {}

  /// False once a stop string has appeared; what stands before it has been emitted.
  bool take(std::string_view bytes);
  /// Emits what was held back.
  void finish();

 private:
  std::size_t held_back() const;
  std::vector<std::string> stop_;
  std::function<void(std::string_view)> emit_;
  std::string pending_;
  bool stopped_ = false;
};

}  // namespace crate
