#include "model/files/pickle_calls.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace crate {
namespace {

enum class Call : uint8_t {
  ordered_dict,
  plain_object,
  set,
  encode,
  device,
  size,
  tensor,
  tensor_v2,
  tensor_v3,
  parameter,
  parameter_with_state,
  storage,
  dtype
};

struct Allowed {
  std::string_view module, name;
  Call call;
  FileDtype dtype = FileDtype::u8;
};

constexpr std::array allowed = {
    Allowed{"collections", "OrderedDict", Call::ordered_dict},
    Allowed{"argparse", "Namespace", Call::plain_object},
    Allowed{"__builtin__", "set", Call::set},
    Allowed{"builtins", "set", Call::set},
    Allowed{"__builtin__", "frozenset", Call::set},
    Allowed{"builtins", "frozenset", Call::set},
    Allowed{"_codecs", "encode", Call::encode},  // how protocol 2 spells bytes
    Allowed{"torch", "Size", Call::size},
    Allowed{"torch", "device", Call::device},
    Allowed{"torch._utils", "_rebuild_tensor", Call::tensor},
    Allowed{"torch._utils", "_rebuild_tensor_v2", Call::tensor_v2},
    Allowed{"torch._utils", "_rebuild_tensor_v3", Call::tensor_v3},
    Allowed{"torch._utils", "_rebuild_parameter", Call::parameter},
    Allowed{"torch._utils", "_rebuild_parameter_with_state", Call::parameter_with_state},
    Allowed{"torch", "DoubleStorage", Call::storage, FileDtype::f64},
    Allowed{"torch", "FloatStorage", Call::storage, FileDtype::f32},
    Allowed{"torch", "HalfStorage", Call::storage, FileDtype::f16},
    Allowed{"torch", "BFloat16Storage", Call::storage, FileDtype::bf16},
    Allowed{"torch", "LongStorage", Call::storage, FileDtype::i64},
    Allowed{"torch", "IntStorage", Call::storage, FileDtype::i32},
    Allowed{"torch", "ShortStorage", Call::storage, FileDtype::i16},
    Allowed{"torch", "CharStorage", Call::storage, FileDtype::i8},
    Allowed{"torch", "ByteStorage", Call::storage, FileDtype::u8},
    Allowed{"torch", "BoolStorage", Call::storage, FileDtype::boolean},
    Allowed{"torch.storage", "UntypedStorage", Call::storage, FileDtype::u8},
    Allowed{"torch.storage", "_UntypedStorage", Call::storage, FileDtype::u8},
    Allowed{"torch", "float64", Call::dtype, FileDtype::f64},
    Allowed{"torch", "float32", Call::dtype, FileDtype::f32},
    Allowed{"torch", "float16", Call::dtype, FileDtype::f16},
    Allowed{"torch", "bfloat16", Call::dtype, FileDtype::bf16},
    Allowed{"torch", "int64", Call::dtype, FileDtype::i64},
    Allowed{"torch", "int32", Call::dtype, FileDtype::i32},
    Allowed{"torch", "int16", Call::dtype, FileDtype::i16},
    Allowed{"torch", "uint16", Call::dtype, FileDtype::u16},
    Allowed{"torch", "int8", Call::dtype, FileDtype::i8},
    Allowed{"torch", "uint8", Call::dtype, FileDtype::u8},
    Allowed{"torch", "bool", Call::dtype, FileDtype::boolean},
};

constexpr std::string_view plain_object_mark = "object";

/// The arguments of one call, with the complaints that wrong ones get.
struct Arguments {
  const Pickle& pickle;
  const PickleNode& callable;
  const PickleNode& args;
  const std::string& where;

  void check(bool ok) const {
    require(ok, "{}: {} is called with arguments it does not take; the file is damaged", where, callable.text);
  }
  std::size_t count() const { return args.items.size(); }
  const PickleNode& node(std::size_t i, PickleKind kind) const {
    check(i < count() && pickle.at(args.items[i]).kind == kind);
    return pickle.at(args.items[i]);
  }
};

void check_whole_numbers(const Arguments& a, const PickleNode& tuple) {
  a.check(std::all_of(tuple.items.begin(), tuple.items.end(),
                      [&](PickleRef r) { return a.pickle.at(r).kind == PickleKind::integer; }));
}

PickleNode rebuilt_tensor(const Arguments& a, std::size_t least, std::size_t most) {
  a.check(a.count() >= least && a.count() <= most);
  PickleNode tensor;
  tensor.kind = PickleKind::tensor;
  tensor.dtype = a.node(0, PickleKind::storage).dtype;
  tensor.integer = a.node(1, PickleKind::integer).integer;
  const PickleNode &size = a.node(2, PickleKind::tuple), &stride = a.node(3, PickleKind::tuple);
  a.check(size.items.size() == stride.items.size() && size.items.size() <= 32);
  check_whole_numbers(a, size);
  check_whole_numbers(a, stride);
  tensor.items = {a.args.items[0], a.args.items[2], a.args.items[3]};
  return tensor;
}

PickleNode rebuilt_tensor_of_dtype(const Arguments& a) {
  PickleNode tensor = rebuilt_tensor(a, 7, 8);
  const PickleNode& dtype = a.node(6, PickleKind::global);
  const Allowed& row = allowed[static_cast<std::size_t>(dtype.integer)];
  a.check(row.call == Call::dtype);
  tensor.dtype = row.dtype;
  return tensor;
}

PickleNode ordered_dict(const Arguments& a) {
  PickleNode dict;
  dict.kind = PickleKind::dict;
  a.check(a.count() <= 1);
  if (a.count() == 0) return dict;
  for (const PickleRef pair : a.node(0, PickleKind::list).items) {
    const PickleNode& p = a.pickle.at(pair);
    a.check((p.kind == PickleKind::list || p.kind == PickleKind::tuple) && p.items.size() == 2);
    dict.items.insert(dict.items.end(), p.items.begin(), p.items.end());
  }
  return dict;
}

PickleNode plain_object(const Arguments& a) {
  a.check(a.count() == 0);
  PickleNode dict;
  dict.kind = PickleKind::dict;
  dict.text = plain_object_mark;
  return dict;
}

PickleNode tuple_of(const Arguments& a) {
  PickleNode tuple;
  tuple.kind = PickleKind::tuple;
  a.check(a.count() <= 1);
  if (a.count() == 0) return tuple;
  const PickleNode& from = a.pickle.at(a.args.items[0]);
  a.check(from.kind == PickleKind::list || from.kind == PickleKind::tuple);
  tuple.items = from.items;
  return tuple;
}

// codecs.encode(text, "latin1"): every character below 256 is one byte.
PickleNode latin1_bytes(const Arguments& a) {
  a.check(a.count() == 2 && a.node(1, PickleKind::text).text == "latin1");
  PickleNode bytes;
  bytes.kind = PickleKind::bytes;
  const std::string& text = a.node(0, PickleKind::text).text;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto first = static_cast<unsigned char>(text[i]);
    a.check(first < 0xC4);
    bytes.text += first < 0x80 ? text[i] : static_cast<char>((first << 6) | (text[i + 1] & 0x3F));
    i += first < 0x80 ? 0 : 1;
  }
  return bytes;
}

PickleNode device_name(const Arguments& a) {
  a.check(a.count() >= 1 && a.count() <= 2);
  PickleNode name = a.node(0, PickleKind::text);
  if (a.count() == 2) name.text += fmt::format(":{}", a.node(1, PickleKind::integer).integer);
  return name;
}

}  // namespace

PickleNode pickle_global(std::string_view module, std::string_view name, const std::string& where) {
  const auto row = std::find_if(allowed.begin(), allowed.end(),
                                [&](const Allowed& a) { return a.module == module && a.name == name; });
  require(
      row != allowed.end(),
      "{}: refused: its pickle asks for '{}.{}', which is not on the list of harmless names; nothing was run. If you "
      "trust the file, load it with the program that wrote it and save only model.state_dict()",
      where, module.substr(0, 100), name.substr(0, 100));
  PickleNode global;
  global.kind = PickleKind::global;
  global.dtype = row->dtype;
  global.integer = row - allowed.begin();
  global.text = fmt::format("{}.{}", module, name);
  return global;
}

PickleNode pickle_call(const Pickle& pickle, const PickleNode& callable, const PickleNode& args,
                       const std::string& where) {
  require(callable.kind == PickleKind::global && args.kind == PickleKind::tuple,
          "{}: the pickle calls something that is not a function; the file is damaged", where);
  const Arguments a{pickle, callable, args, where};
  switch (allowed[static_cast<std::size_t>(callable.integer)].call) {
    case Call::ordered_dict:
      return ordered_dict(a);
    case Call::plain_object:
      return plain_object(a);
    case Call::set:
    case Call::size:
      return tuple_of(a);
    case Call::encode:
      return latin1_bytes(a);
    case Call::device:
      return device_name(a);
    case Call::tensor:
      return rebuilt_tensor(a, 4, 4);
    case Call::tensor_v2:
      return rebuilt_tensor(a, 6, 7);
    case Call::tensor_v3:
      return rebuilt_tensor_of_dtype(a);
    case Call::parameter:
      a.check(a.count() == 3);
      return a.node(0, PickleKind::tensor);
    case Call::parameter_with_state:
      a.check(a.count() == 4);
      return a.node(0, PickleKind::tensor);
    case Call::storage:
    case Call::dtype:
      break;
  }
  fail("{}: {} must not be called; the file is damaged", where, callable.text);
}

PickleNode pickle_storage(const Pickle& pickle, const PickleNode& id, const std::string& where) {
  const auto item = [&](std::size_t i, PickleKind kind) -> const PickleNode& {
    require(id.kind == PickleKind::tuple && i < id.items.size() && pickle.at(id.items[i]).kind == kind,
            "{}: a storage is named in an unknown way; the file is damaged", where);
    return pickle.at(id.items[i]);
  };
  const PickleNode& type = item(1, PickleKind::global);
  const PickleNode& count = item(4, PickleKind::integer);
  item(3, PickleKind::text);
  require(item(0, PickleKind::text).text == "storage" &&
              allowed[static_cast<std::size_t>(type.integer)].call == Call::storage,
          "{}: expected a storage, came {}", where, type.text);
  require(id.items.size() == 5 || pickle.at(id.items[5]).kind == PickleKind::none,
          "{}: views of storages, as PyTorch before 0.4 wrote them, are not read; load the file in PyTorch and save it "
          "again",
          where);
  require(count.integer >= 0, "{}: a storage of {} elements; the file is damaged", where, count.integer);
  PickleNode storage;
  storage.kind = PickleKind::storage;
  storage.dtype = type.dtype;
  storage.integer = count.integer;
  storage.text = item(2, PickleKind::text).text;
  return storage;
}

bool takes_state_as_entries(const PickleNode& dict) {
  return dict.kind == PickleKind::dict && dict.text == plain_object_mark;
}

}  // namespace crate
