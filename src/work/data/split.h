// split: cuts a text into words as GPT-2's pattern does,
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// by hand, one pass, no backtracking; PCRE2 tells the Unicode class of characters beyond ASCII and is the arbiter in
// the tests. A byte that is not UTF-8 counts as a character of its own that is neither letter, number nor space.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>

namespace crate {

class Splitter {
 public:
  Splitter();
  ~Splitter();
  Splitter(const Splitter&) = delete;
  Splitter& operator=(const Splitter&) = delete;

  /// End of the word that begins at `at` < text.size(). Thread-safe.
  std::size_t word_end(std::string_view text, std::size_t at) const;

 private:
  enum class Kind : uint8_t { other, letter, number, space };
  struct Char {
    Kind kind;
    uint8_t length;
  };
  using Page = std::array<Kind, 256>;
  Char char_at(std::string_view text, std::size_t at) const;
  Kind kind_of(uint32_t code) const;
  const Page* make_page(uint32_t page) const;
  std::size_t run_end(std::string_view text, std::size_t at, Kind kind) const;
  std::size_t spaces_end(std::string_view text, std::size_t at) const;

  struct Classes;
  std::unique_ptr<Classes> classes_;
  std::array<Kind, 128> ascii_{};
  mutable std::mutex mutex_;
  mutable std::array<std::atomic<const Page*>, 0x1100> pages_{};
};

}  // namespace crate
