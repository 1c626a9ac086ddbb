#include "model/files/pickle.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "model/files/pickle_calls.h"
#include "model/files/pickle_text.h"

namespace crate {
namespace {

/// Reads little-endian numbers, blocks and lines; never past the end.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& where)
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
    const std::size_t end = text_.find('\n', at_);
    require(end != std::string_view::npos, "{}: the pickle ends early; the file is truncated or damaged", where_);
    const std::string_view found = text_.substr(at_, end - at_);
    at_ = end + 1;
    return found;
  }
  std::size_t at() const { return at_; }

 private:
  std::string_view text_;
  const std::string& where_;
  std::size_t at_ = 0;
};

/// The stack machine. The names of the instructions are those of Python's pickletools, in capitals in the comments.
class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& where, const PickleLimits& limits)
      : in_(bytes, where), where_(where), limits_(limits) {}
  Pickle run();

 private:
  bool constant(uint8_t op);
  bool text(uint8_t op);
  bool container(uint8_t op);
  bool filling(uint8_t op);
  bool stack(uint8_t op);
  bool memo(uint8_t op);
  bool call(uint8_t op);

  void spend(std::size_t units) {
    work_ += units;
    require(work_ <= limits_.work, "{}: the pickle asks for more work than any checkpoint needs; refused", where_);
  }
  void check(bool ok) const { require(ok, "{}: the pickle is damaged at byte {}", where_, in_.at()); }

  void push(PickleRef ref) { stack_.push_back(ref); }
  void push(PickleNode node);
  void push_integer(int64_t value) { push({.kind = PickleKind::integer, .integer = value}); }
  void push_text(std::string value);
  void push_bytes(std::string_view value);
  void push_long(std::string_view two_complement);
  void push_decimal(std::string_view digits);
  void push_tuple(std::size_t count);
  PickleRef pop();
  PickleNode& top();
  /// The values above the last mark, which goes too.
  std::vector<PickleRef> pop_mark();
  std::vector<PickleRef> pop_last(std::size_t count);
  void keep(std::size_t key);
  void recall(std::size_t key);
  void append_to(PickleKind a, PickleKind b, std::vector<PickleRef> values);
  void build();

  Cursor in_;
  const std::string& where_;
  PickleLimits limits_;
  Pickle out_;
  std::size_t work_ = 0;
  std::vector<PickleRef> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::size_t, PickleRef> memo_;
};

void Machine::push(PickleNode node) {
  require(out_.nodes.size() < limits_.nodes, "{}: the pickle holds more values than any checkpoint needs; refused",
          where_);
  out_.nodes.push_back(std::move(node));
  stack_.push_back(static_cast<PickleRef>(out_.nodes.size() - 1));
}

void Machine::push_text(std::string value) {
  spend(value.size());
  require(is_utf8(value), "{}: a text in the pickle is not UTF-8", where_);
  push({.kind = PickleKind::text, .text = std::move(value)});
}

void Machine::push_bytes(std::string_view value) {
  spend(value.size());
  push({.kind = PickleKind::bytes, .text = std::string(value)});
}

void Machine::push_long(std::string_view two_complement) {
  if (two_complement.size() > sizeof(int64_t)) return push_bytes(two_complement);
  const bool negative = !two_complement.empty() && (two_complement.back() & 0x80);
  int64_t value = negative ? -1 : 0;
  std::memcpy(&value, two_complement.data(), two_complement.size());
  push_integer(value);
}

void Machine::push_decimal(std::string_view digits) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  check(error == std::errc() && end == digits.data() + digits.size());
  push_integer(value);
}

PickleRef Machine::pop() {
  check(!stack_.empty() && (marks_.empty() || marks_.back() < stack_.size()));
  const PickleRef ref = stack_.back();
  stack_.pop_back();
  return ref;
}

PickleNode& Machine::top() {
  check(!stack_.empty() && (marks_.empty() || marks_.back() < stack_.size()));
  return out_.nodes[stack_.back()];
}

std::vector<PickleRef> Machine::pop_last(std::size_t count) {
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  check(count <= stack_.size() - floor);
  std::vector<PickleRef> values(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
  stack_.resize(stack_.size() - count);
  return values;
}

std::vector<PickleRef> Machine::pop_mark() {
  check(!marks_.empty());
  auto values = pop_last(stack_.size() - marks_.back());
  marks_.pop_back();
  return values;
}

void Machine::push_tuple(std::size_t count) { push({.kind = PickleKind::tuple, .items = pop_last(count)}); }

void Machine::keep(std::size_t key) {
  top();
  require(memo_.size() < limits_.nodes, "{}: the pickle remembers more values than any checkpoint needs; refused",
          where_);
  memo_[key] = stack_.back();
}

void Machine::recall(std::size_t key) {
  const auto it = memo_.find(key);
  check(it != memo_.end());
  push(it->second);
}

void Machine::append_to(PickleKind a, PickleKind b, std::vector<PickleRef> values) {
  PickleNode& to = top();
  check(to.kind == a || to.kind == b);
  check(to.kind != PickleKind::dict || values.size() % 2 == 0);
  to.items.insert(to.items.end(), values.begin(), values.end());
}

void Machine::build() {
  const PickleRef state = pop();
  PickleNode& target = top();
  if (!takes_state_as_entries(target)) return check(target.kind == PickleKind::dict);
  check(out_.nodes[state].kind == PickleKind::dict);
  const std::vector<PickleRef> entries = out_.nodes[state].items;
  spend(entries.size());
  target.items.insert(target.items.end(), entries.begin(), entries.end());
}

bool Machine::constant(uint8_t op) {
  switch (op) {
    case 'N':  // NONE
      push(PickleNode{});
      return true;
    case 0x88:  // NEWTRUE
    case 0x89:  // NEWFALSE
      push({.kind = PickleKind::boolean, .integer = op == 0x88});
      return true;
    case 'I': {  // INT, also the booleans of protocol 0
      const std::string_view line = in_.line();
      if (line != "00" && line != "01") return push_decimal(line), true;
      push({.kind = PickleKind::boolean, .integer = line == "01"});
      return true;
    }
    case 'L': {  // LONG
      std::string_view line = in_.line();
      if (line.ends_with('L')) line.remove_suffix(1);
      push_decimal(line);
      return true;
    }
    case 'J':  // BININT
      push_integer(in_.number<int32_t>());
      return true;
    case 'K':  // BININT1
      push_integer(in_.number<uint8_t>());
      return true;
    case 'M':  // BININT2
      push_integer(in_.number<uint16_t>());
      return true;
    case 0x8A:  // LONG1
      push_long(in_.take(in_.number<uint8_t>()));
      return true;
    case 0x8B:  // LONG4
      push_long(in_.take(in_.number<uint32_t>()));
      return true;
    case 'F': {  // FLOAT
      const std::string_view line = in_.line();
      double value = 0;
      const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
      check(error == std::errc() && end == line.data() + line.size());
      push({.kind = PickleKind::real, .real = value});
      return true;
    }
    case 'G':  // BINFLOAT, the one big-endian number of the format
      push({.kind = PickleKind::real, .real = std::bit_cast<double>(__builtin_bswap64(in_.number<uint64_t>()))});
      return true;
    default:
      return false;
  }
}

bool Machine::text(uint8_t op) {
  switch (op) {
    case 'S':  // STRING
      push_text(from_quoted(in_.line(), where_));
      return true;
    case 'V':  // UNICODE
      push_text(from_raw_unicode_escape(in_.line(), where_));
      return true;
    case 'T':  // BINSTRING
    case 'X':  // BINUNICODE
      push_text(std::string(in_.take(in_.number<uint32_t>())));
      return true;
    case 'U':   // SHORT_BINSTRING
    case 0x8C:  // SHORT_BINUNICODE
      push_text(std::string(in_.take(in_.number<uint8_t>())));
      return true;
    case 0x8D:  // BINUNICODE8
      push_text(std::string(in_.take(in_.number<uint64_t>())));
      return true;
    case 'C':  // SHORT_BINBYTES
      push_bytes(in_.take(in_.number<uint8_t>()));
      return true;
    case 'B':  // BINBYTES
      push_bytes(in_.take(in_.number<uint32_t>()));
      return true;
    case 0x8E:  // BINBYTES8
    case 0x96:  // BYTEARRAY8
      push_bytes(in_.take(in_.number<uint64_t>()));
      return true;
    default:
      return false;
  }
}

bool Machine::container(uint8_t op) {
  switch (op) {
    case ']':   // EMPTY_LIST
    case 0x8F:  // EMPTY_SET
      push({.kind = PickleKind::list});
      return true;
    case '}':  // EMPTY_DICT
      push({.kind = PickleKind::dict});
      return true;
    case ')':  // EMPTY_TUPLE
      push({.kind = PickleKind::tuple});
      return true;
    case 'l':  // LIST
      push({.kind = PickleKind::list, .items = pop_mark()});
      return true;
    case 't':   // TUPLE
    case 0x91:  // FROZENSET
      push({.kind = PickleKind::tuple, .items = pop_mark()});
      return true;
    case 'd': {  // DICT
      auto items = pop_mark();
      check(items.size() % 2 == 0);
      push({.kind = PickleKind::dict, .items = std::move(items)});
      return true;
    }
    case 0x85:  // TUPLE1, TUPLE2, TUPLE3
    case 0x86:
    case 0x87:
      push_tuple(op - 0x84U);
      return true;
    default:
      return false;
  }
}

bool Machine::filling(uint8_t op) {
  switch (op) {
    case 'a':  // APPEND
      append_to(PickleKind::list, PickleKind::list, pop_last(1));
      return true;
    case 'e':   // APPENDS
    case 0x90:  // ADDITEMS
      append_to(PickleKind::list, PickleKind::list, pop_mark());
      return true;
    case 's':  // SETITEM
      append_to(PickleKind::dict, PickleKind::dict, pop_last(2));
      return true;
    case 'u':  // SETITEMS
      append_to(PickleKind::dict, PickleKind::dict, pop_mark());
      return true;
    default:
      return false;
  }
}

bool Machine::stack(uint8_t op) {
  switch (op) {
    case 0x80:  // PROTO
      require(in_.number<uint8_t>() <= 5, "{}: a pickle protocol newer than 5", where_);
      return true;
    case 0x95:  // FRAME: a hint for buffering
      in_.take(8);
      return true;
    case '(':  // MARK
      marks_.push_back(stack_.size());
      return true;
    case '0':  // POP, which takes a mark when that is on top
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        pop();
      }
      return true;
    case '1':  // POP_MARK
      pop_mark();
      return true;
    case '2':  // DUP
      top();
      push(stack_.back());
      return true;
    default:
      return false;
  }
}

bool Machine::memo(uint8_t op) {
  const auto line_number = [&] {
    const std::string_view line = in_.line();
    std::size_t key = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), key);
    check(error == std::errc() && end == line.data() + line.size());
    return key;
  };
  switch (op) {
    case 'p':  // PUT
      keep(line_number());
      return true;
    case 'q':  // BINPUT
      keep(in_.number<uint8_t>());
      return true;
    case 'r':  // LONG_BINPUT
      keep(in_.number<uint32_t>());
      return true;
    case 0x94:  // MEMOIZE
      keep(memo_.size());
      return true;
    case 'g':  // GET
      recall(line_number());
      return true;
    case 'h':  // BINGET
      recall(in_.number<uint8_t>());
      return true;
    case 'j':  // LONG_BINGET
      recall(in_.number<uint32_t>());
      return true;
    default:
      return false;
  }
}

bool Machine::call(uint8_t op) {
  switch (op) {
    case 'c': {  // GLOBAL
      const std::string_view module = in_.line();
      push(pickle_global(module, in_.line(), where_));
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleNode &name = out_.nodes[pop()], &module = out_.nodes[pop()];
      check(name.kind == PickleKind::text && module.kind == PickleKind::text);
      push(pickle_global(module.text, name.text, where_));
      return true;
    }
    case 'R':     // REDUCE
    case 0x81: {  // NEWOBJ
      const PickleNode &args = out_.nodes[pop()], &callable = out_.nodes[pop()];
      for (const PickleRef r : args.items) spend(out_.nodes[r].items.size() + out_.nodes[r].text.size());
      push(pickle_call(out_, callable, args, where_));
      return true;
    }
    case 'b':  // BUILD
      build();
      return true;
    case 'Q': {  // BINPERSID
      const PickleNode& id = out_.nodes[pop()];
      for (const PickleRef r : id.items) spend(out_.nodes[r].text.size());
      push(pickle_storage(out_, id, where_));
      return true;
    }
    default:
      return false;
  }
}

Pickle Machine::run() {
  for (;;) {
    const auto op = in_.number<uint8_t>();
    spend(1);
    if (op == '.') break;  // STOP
    const bool known = constant(op) || text(op) || container(op) || filling(op) || stack(op) || memo(op) || call(op);
    require(known, "{}: the pickle uses the instruction 0x{:02x} at byte {}, which no checkpoint needs; refused",
            where_, op, in_.at() - 1);
  }
  check(marks_.empty());
  out_.root = pop();
  out_.length = in_.at();
  return std::move(out_);
}

}  // namespace

const PickleNode* Pickle::find(const PickleNode& dict, std::string_view key) const {
  if (dict.kind != PickleKind::dict) return nullptr;
  for (std::size_t i = dict.items.size(); i >= 2; i -= 2) {
    const PickleNode& k = nodes[dict.items[i - 2]];
    if (k.kind == PickleKind::text && k.text == key) return &nodes[dict.items[i - 1]];
  }
  return nullptr;
}

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where, const PickleLimits& limits) {
  return Machine(bytes, where, limits).run();
}

}  // namespace crate
