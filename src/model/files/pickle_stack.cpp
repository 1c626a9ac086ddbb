#include "model/files/pickle_stack.h"

#include <charconv>
#include <cstring>
#include <utility>

#include "model/files/pickle_text.h"

namespace crate {

void PickleStack::spend(std::size_t units) {
  work_ += units;
  require(work_ <= limits_.work, "{}: the pickle asks for more work than any checkpoint needs; refused", where);
}

void PickleStack::push(PickleNode node) {
  require(pickle.nodes.size() < limits_.nodes, "{}: the pickle holds more values than any checkpoint needs; refused",
          where);
  pickle.nodes.push_back(std::move(node));
  stack_.push_back(static_cast<PickleRef>(pickle.nodes.size() - 1));
}

void PickleStack::push_text(std::string_view value) {
  spend(value.size());
  require(is_utf8(value), "{}: a text in the pickle is not UTF-8", where);
  push({.kind = PickleKind::text, .text = std::string(value)});
}

void PickleStack::push_bytes(std::string_view value) {
  spend(value.size());
  push({.kind = PickleKind::bytes, .text = std::string(value)});
}

void PickleStack::push_long(std::string_view number) {
  if (number.size() > sizeof(int64_t)) return push_bytes(number);
  const bool negative = !number.empty() && (number.back() & 0x80);
  int64_t value = negative ? -1 : 0;
  std::memcpy(&value, number.data(), number.size());
  push_integer(value);
}

void PickleStack::push_decimal(std::string_view digits) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  check(error == std::errc() && end == digits.data() + digits.size());
  push_integer(value);
}

PickleRef PickleStack::pop() {
  check(!stack_.empty() && (marks_.empty() || marks_.back() < stack_.size()));
  const PickleRef ref = stack_.back();
  stack_.pop_back();
  return ref;
}

PickleNode& PickleStack::top() {
  check(!stack_.empty() && (marks_.empty() || marks_.back() < stack_.size()));
  return pickle.nodes[stack_.back()];
}

std::vector<PickleRef> PickleStack::pop_last(std::size_t count) {
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  check(count <= stack_.size() - floor);
  std::vector<PickleRef> values(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
  stack_.resize(stack_.size() - count);
  return values;
}

std::vector<PickleRef> PickleStack::pop_mark() {
  check(!marks_.empty());
  auto values = pop_last(stack_.size() - marks_.back());
  marks_.pop_back();
  return values;
}

void PickleStack::keep(std::size_t key) {
  top();
  require(memo_.size() < limits_.nodes, "{}: the pickle remembers more values than any checkpoint needs; refused",
          where);
  memo_[key] = stack_.back();
}

void PickleStack::recall(std::size_t key) {
  const auto it = memo_.find(key);
  check(it != memo_.end());
  push(it->second);
}

void PickleStack::drop() {
  if (!marks_.empty() && marks_.back() == stack_.size()) {
    marks_.pop_back();
  } else {
    pop();
  }
}

void PickleStack::repeat() {
  top();
  push(stack_.back());
}

Pickle PickleStack::finish() {
  check(marks_.empty());
  pickle.root = pop();
  pickle.length = in.at();
  return std::move(pickle);
}

}  // namespace crate
