// pickle: a reader of Python's pickle streams (protocols 0 to 5) that runs nothing. It knows the plain values and a
// short list of harmless names (see pickle_calls.h: ordered dicts, tensors, storages, sizes); any other name is an
// Error.
//
// Values are nodes in one vector and refer to each other by index, so shared and even cyclic values cost no more than
// the stream that describes them. Memory and time are bounded by PickleLimits whatever the stream says.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/files/array.h"

namespace crate {

using PickleRef = uint32_t;

enum class PickleKind : uint8_t {
  none,
  boolean,
  integer,
  real,
  text,
  bytes,
  list,
  tuple,
  dict,
  global,
  storage,
  tensor
};

/// One value. Which fields count depends on the kind:
///   boolean, integer: `integer`; real: `real`; text (UTF-8), bytes: `text`;
///   whole numbers beyond 64 bits are kept as bytes: little-endian two's complement;
///   list, tuple (also sets): `items`; dict: `items` as key, value, key, value, ... in the order of insertion;
///   global: `text` is its dotted name, `integer` its row of the allow-list;
///   storage: `text` is its key, `dtype`, and `integer` the number of elements;
///   tensor: `items` are storage, size tuple, stride tuple; `integer` is the offset in elements of `dtype`.
struct PickleNode {
  PickleKind kind = PickleKind::none;
  FileDtype dtype = FileDtype::u8;
  int64_t integer = 0;
  double real = 0;
  std::string text = {};
  std::vector<PickleRef> items = {};
};

struct Pickle {
  std::vector<PickleNode> nodes;
  PickleRef root = 0;
  std::size_t length = 0;  // bytes of the stream, up to and with its STOP

  const PickleNode& top() const { return nodes[root]; }
  const PickleNode& at(PickleRef ref) const { return nodes[ref]; }
  /// The value of a text key of a dict (the last one, as Python keeps it), or nullptr.
  const PickleNode* find(const PickleNode& dict, std::string_view key) const;
};

/// Real checkpoints stay far below: a 12-layer model with its optimiser makes some 1e4 nodes.
struct PickleLimits {
  std::size_t nodes = std::size_t{1} << 21;
  std::size_t work = std::size_t{1} << 26;  // one unit a step, an item copied, a byte of text
};

/// Reads one stream from the front of `bytes`. Throws Error, beginning with `where`, on anything that is damaged, not
/// on the allow-list, or over the limits.
Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where, const PickleLimits& limits = {});

}  // namespace crate
