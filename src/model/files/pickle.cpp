#include "model/files/pickle.h"

#include <bit>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "model/files/pickle_calls.h"
#include "model/files/pickle_stack.h"
#include "model/files/pickle_text.h"

namespace crate {
namespace {

/// The instructions. Their names are those of Python's pickletools, in capitals in the comments.
class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& where, const PickleLimits& limits)
      : stack_(bytes, where, limits), where_(where) {}
  Pickle run();

 private:
  bool constant(uint8_t op);
  bool text(uint8_t op);
  bool container(uint8_t op);
  bool filling(uint8_t op);
  bool order(uint8_t op);
  bool memo(uint8_t op);
  bool call(uint8_t op);

  /// A line of text that is a number.
  template <class T> T line_number() {
    const std::string_view line = stack_.in.line();
    T value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    stack_.check(error == std::errc() && end == line.data() + line.size());
    return value;
  }
  void append_to(PickleKind kind, const std::vector<PickleRef>& values);
  void build();
  /// What copying the values of a tuple of arguments would cost.
  void charge(const PickleNode& arguments) {
    for (const PickleRef r : arguments.items) {
      const PickleNode& node = stack_.pickle.nodes[r];
      stack_.spend(node.items.size() + node.text.size());
    }
  }

  PickleStack stack_;
  const std::string& where_;
};

void Machine::append_to(PickleKind kind, const std::vector<PickleRef>& values) {
  PickleNode& to = stack_.top();
  stack_.check(to.kind == kind && (kind != PickleKind::dict || values.size() % 2 == 0));
  to.items.insert(to.items.end(), values.begin(), values.end());
}

void Machine::build() {
  const PickleRef state = stack_.pop();
  PickleNode& target = stack_.top();
  if (!takes_state_as_entries(target)) return stack_.check(target.kind == PickleKind::dict);
  stack_.check(stack_.pickle.nodes[state].kind == PickleKind::dict);
  stack_.spend(stack_.pickle.nodes[state].items.size());
  const std::vector<PickleRef> entries = stack_.pickle.nodes[state].items;
  target.items.insert(target.items.end(), entries.begin(), entries.end());
}

bool Machine::constant(uint8_t op) {
  switch (op) {
    case 'N':  // NONE
      stack_.push(PickleNode{});
      return true;
    case 0x88:  // NEWTRUE
    case 0x89:  // NEWFALSE
      stack_.push({.kind = PickleKind::boolean, .integer = op == 0x88});
      return true;
    case 'I': {  // INT, also the booleans of protocol 0
      const std::string_view line = stack_.in.line();
      if (line != "00" && line != "01") return stack_.push_decimal(line), true;
      stack_.push({.kind = PickleKind::boolean, .integer = line == "01"});
      return true;
    }
    case 'L': {  // LONG
      std::string_view line = stack_.in.line();
      if (line.ends_with('L')) line.remove_suffix(1);
      stack_.push_decimal(line);
      return true;
    }
    case 'J':  // BININT
      stack_.push_integer(stack_.in.number<int32_t>());
      return true;
    case 'K':  // BININT1
      stack_.push_integer(stack_.in.number<uint8_t>());
      return true;
    case 'M':  // BININT2
      stack_.push_integer(stack_.in.number<uint16_t>());
      return true;
    case 0x8A:  // LONG1
      stack_.push_long(stack_.in.take(stack_.in.number<uint8_t>()));
      return true;
    case 0x8B:  // LONG4
      stack_.push_long(stack_.in.take(stack_.in.number<uint32_t>()));
      return true;
    case 'F':  // FLOAT
      stack_.push({.kind = PickleKind::real, .real = line_number<double>()});
      return true;
    case 'G':  // BINFLOAT, the one big-endian number of the format
      stack_.push(
          {.kind = PickleKind::real, .real = std::bit_cast<double>(__builtin_bswap64(stack_.in.number<uint64_t>()))});
      return true;
    default:
      return false;
  }
}

bool Machine::text(uint8_t op) {
  switch (op) {
    case 'S':  // STRING
      stack_.push_text(from_quoted(stack_.in.line(), where_));
      return true;
    case 'V':  // UNICODE
      stack_.push_text(from_raw_unicode_escape(stack_.in.line(), where_));
      return true;
    case 'T':  // BINSTRING
    case 'X':  // BINUNICODE
      stack_.push_text(stack_.in.take(stack_.in.number<uint32_t>()));
      return true;
    case 'U':   // SHORT_BINSTRING
    case 0x8C:  // SHORT_BINUNICODE
      stack_.push_text(stack_.in.take(stack_.in.number<uint8_t>()));
      return true;
    case 0x8D:  // BINUNICODE8
      stack_.push_text(stack_.in.take(stack_.in.number<uint64_t>()));
      return true;
    case 'C':  // SHORT_BINBYTES
      stack_.push_bytes(stack_.in.take(stack_.in.number<uint8_t>()));
      return true;
    case 'B':  // BINBYTES
      stack_.push_bytes(stack_.in.take(stack_.in.number<uint32_t>()));
      return true;
    case 0x8E:  // BINBYTES8
    case 0x96:  // BYTEARRAY8
      stack_.push_bytes(stack_.in.take(stack_.in.number<uint64_t>()));
      return true;
    default:
      return false;
  }
}

bool Machine::container(uint8_t op) {
  switch (op) {
    case ']':   // EMPTY_LIST
    case 0x8F:  // EMPTY_SET
      stack_.push({.kind = PickleKind::list});
      return true;
    case '}':  // EMPTY_DICT
      stack_.push({.kind = PickleKind::dict});
      return true;
    case ')':  // EMPTY_TUPLE
      stack_.push({.kind = PickleKind::tuple});
      return true;
    case 'l':  // LIST
      stack_.push({.kind = PickleKind::list, .items = stack_.pop_mark()});
      return true;
    case 't':   // TUPLE
    case 0x91:  // FROZENSET
      stack_.push({.kind = PickleKind::tuple, .items = stack_.pop_mark()});
      return true;
    case 'd': {  // DICT
      auto items = stack_.pop_mark();
      stack_.check(items.size() % 2 == 0);
      stack_.push({.kind = PickleKind::dict, .items = std::move(items)});
      return true;
    }
    case 0x85:  // TUPLE1, TUPLE2, TUPLE3
    case 0x86:
    case 0x87:
      stack_.push({.kind = PickleKind::tuple, .items = stack_.pop_last(op - 0x84U)});
      return true;
    default:
      return false;
  }
}

bool Machine::filling(uint8_t op) {
  switch (op) {
    case 'a':  // APPEND
      append_to(PickleKind::list, stack_.pop_last(1));
      return true;
    case 'e':   // APPENDS
    case 0x90:  // ADDITEMS
      append_to(PickleKind::list, stack_.pop_mark());
      return true;
    case 's':  // SETITEM
      append_to(PickleKind::dict, stack_.pop_last(2));
      return true;
    case 'u':  // SETITEMS
      append_to(PickleKind::dict, stack_.pop_mark());
      return true;
    default:
      return false;
  }
}

bool Machine::order(uint8_t op) {
  switch (op) {
    case 0x80:  // PROTO
      require(stack_.in.number<uint8_t>() <= 5, "{}: a pickle protocol newer than 5", where_);
      return true;
    case 0x95:  // FRAME: a hint for buffering
      stack_.in.take(8);
      return true;
    case '(':  // MARK
      stack_.mark();
      return true;
    case '0':  // POP, which takes a mark when that is on top
      stack_.drop();
      return true;
    case '1':  // POP_MARK
      stack_.pop_mark();
      return true;
    case '2':  // DUP
      stack_.repeat();
      return true;
    default:
      return false;
  }
}

bool Machine::memo(uint8_t op) {
  switch (op) {
    case 'p':  // PUT
      stack_.keep(line_number<std::size_t>());
      return true;
    case 'q':  // BINPUT
      stack_.keep(stack_.in.number<uint8_t>());
      return true;
    case 'r':  // LONG_BINPUT
      stack_.keep(stack_.in.number<uint32_t>());
      return true;
    case 0x94:  // MEMOIZE
      stack_.keep_next();
      return true;
    case 'g':  // GET
      stack_.recall(line_number<std::size_t>());
      return true;
    case 'h':  // BINGET
      stack_.recall(stack_.in.number<uint8_t>());
      return true;
    case 'j':  // LONG_BINGET
      stack_.recall(stack_.in.number<uint32_t>());
      return true;
    default:
      return false;
  }
}

bool Machine::call(uint8_t op) {
  switch (op) {
    case 'c': {  // GLOBAL
      const std::string_view module = stack_.in.line();
      stack_.push(pickle_global(module, stack_.in.line(), where_));
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleNode &name = stack_.pickle.nodes[stack_.pop()], &module = stack_.pickle.nodes[stack_.pop()];
      stack_.check(name.kind == PickleKind::text && module.kind == PickleKind::text);
      stack_.push(pickle_global(module.text, name.text, where_));
      return true;
    }
    case 'R':     // REDUCE
    case 0x81: {  // NEWOBJ
      const PickleNode &args = stack_.pickle.nodes[stack_.pop()], &callable = stack_.pickle.nodes[stack_.pop()];
      charge(args);
      stack_.push(pickle_call(stack_.pickle, callable, args, where_));
      return true;
    }
    case 'b':  // BUILD
      build();
      return true;
    case 'Q': {  // BINPERSID
      const PickleNode& id = stack_.pickle.nodes[stack_.pop()];
      charge(id);
      stack_.push(pickle_storage(stack_.pickle, id, where_));
      return true;
    }
    default:
      return false;
  }
}

Pickle Machine::run() {
  for (;;) {
    const auto op = stack_.in.number<uint8_t>();
    stack_.spend(1);
    if (op == '.') break;  // STOP
    const bool known = constant(op) || text(op) || container(op) || filling(op) || order(op) || memo(op) || call(op);
    require(known, "{}: the pickle uses the instruction 0x{:02x} at byte {}, which no checkpoint needs; refused",
            where_, op, stack_.in.at() - 1);
  }
  return stack_.finish();
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
