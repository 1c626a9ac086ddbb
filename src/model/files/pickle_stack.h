// pickle_stack: what the instructions of a pickle work on: the bytes still to come, the stack with its marks, the memo,
// and the limits. Every access is checked; a damaged pickle ends in an Error.
#pragma once
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "model/files/pickle.h"

namespace crate {

/// Reads little-endian numbers, blocks and lines; never past the end.
class PickleCursor {
 public:
  PickleCursor(std::span<const std::byte> bytes, const std::string& where)
      : text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()), where_(where) {}

  template <class T> T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view take(uint64_t n) {
    require(n <= text_.size() - at_, "{}: the pickle ends early; the file is truncated or damaged", where_);
    at_ += n;
    return text_.substr(at_ - n, n);
  }
  std::string_view line() {
    const std::string_view ahead = text_.substr(at_, longest_line);
    const std::size_t size = ahead.find('\n');
    require(size != std::string_view::npos, "{}: a line of the pickle has no end; the file is truncated or damaged",
            where_);
    at_ += size + 1;
    return ahead.substr(0, size);
  }
  std::size_t at() const { return at_; }

 private:
  static constexpr std::size_t longest_line = std::size_t{1} << 20;
  std::string_view text_;
  const std::string& where_;
  std::size_t at_ = 0;
};

/// The values live in `pickle.nodes`; stack and memo hold their indices.
class PickleStack {
 public:
  PickleStack(std::span<const std::byte> bytes, const std::string& where, const PickleLimits& limits)
      : in(bytes, where), where(where), limits_(limits) {}

  void spend(std::size_t units);
  void check(bool ok) const { require(ok, "{}: the pickle is damaged at byte {}", where, in.at()); }

  void push(PickleRef ref) { stack_.push_back(ref); }
  void push(PickleNode node);
  void push_integer(int64_t value) { push({.kind = PickleKind::integer, .integer = value}); }
  void push_text(std::string_view value);
  void push_bytes(std::string_view value);
  /// Little-endian two's complement of any length.
  void push_long(std::string_view number);
  void push_decimal(std::string_view digits);

  PickleRef pop();
  std::vector<PickleRef> pop_last(std::size_t count);
  PickleNode& top();
  void mark() { marks_.push_back(stack_.size()); }
  /// The values above the last mark, which goes too.
  std::vector<PickleRef> pop_mark();
  /// Removes the top value, or the mark when that is on top.
  void drop();
  void repeat();

  /// The memo: remembers the top value under a number, and pushes it again.
  void keep(std::size_t key);
  void keep_next() { keep(memo_.size()); }
  void recall(std::size_t key);
  /// Takes the last value as the result; nothing may be open.
  Pickle finish();

  PickleCursor in;
  const std::string& where;
  Pickle pickle;

 private:
  PickleLimits limits_;
  std::size_t work_ = 0;
  std::vector<PickleRef> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::size_t, PickleRef> memo_;
};

}  // namespace crate
