// The two file formats of torch.save.
//   zip: PREFIX/data.pkl, PREFIX/data/KEY (raw numbers), PREFIX/byteorder ("little" or "big", newer files only), ...
//   stream: five pickles (magic number, protocol 1001, facts of the machine, the object, list of storage keys), then
//   for every key the number of elements (64 bits) and the raw numbers.
#include <cstring>
#include <utility>

#include "base/error.h"
#include "model/files/pytorch_storage.h"
#include "model/files/zip.h"

namespace crate {
namespace {

// The ten bytes of 0x1950A86A20F9469CFC6C, little-endian.
constexpr std::string_view magic_number("\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19", 10);
constexpr int64_t stream_protocol = 1001;

void check_byte_order(bool little, const std::string& where) {
  require(little, "{}: written on a big-endian machine, which is not read; load it in PyTorch and save it again",
          where);
}

std::string prefix_of(const ZipReader& zip, const std::string& where) {
  constexpr std::string_view file = "/data.pkl";
  std::string prefix;
  for (const std::string& name : zip.names()) {
    const bool found = name.size() > file.size() && name.ends_with(file) && name.find('/') == name.size() - file.size();
    if (!found) continue;
    require(prefix.empty(), "{}: two checkpoints in one archive", where);
    prefix = name.substr(0, name.size() - file.size()) + "/";
  }
  require(!prefix.empty(), "{}: a zip archive, but not a PyTorch checkpoint: it has no data.pkl", where);
  return prefix;
}

/// Reads one pickle after the other from the front of a file.
class Stream {
 public:
  Stream(std::span<const std::byte> bytes, const std::string& where) : rest_(bytes), where_(where) {}
  Pickle next() {
    Pickle p = read_pickle(rest_, where_);
    rest_ = rest_.subspan(p.length);
    return p;
  }
  std::span<const std::byte> take(uint64_t n) {
    require(n <= rest_.size(), "{}: the numbers end early; the file is truncated, copy it again", where_);
    const auto found = rest_.first(n);
    rest_ = rest_.subspan(n);
    return found;
  }

 private:
  std::span<const std::byte> rest_;
  const std::string& where_;
};

/// Bytes of an element by storage key.
std::map<std::string, std::size_t> widths_of(const Pickle& pickle, const std::string& where) {
  std::map<std::string, std::size_t> widths;
  for (const PickleNode& node : pickle.nodes) {
    if (node.kind != PickleKind::storage) continue;
    const auto [it, fresh] = widths.emplace(node.text, size_of(node.dtype));
    require(fresh || it->second == size_of(node.dtype), "{}: storage '{}' has two types; the file is damaged", where,
            node.text);
  }
  return widths;
}

}  // namespace

PytorchArchive open_pytorch_zip(std::span<const std::byte> bytes, const std::string& where) {
  const ZipReader zip(bytes, where);
  const std::string prefix = prefix_of(zip, where);
  if (zip.has(prefix + "byteorder")) {
    const auto order = zip.read(prefix + "byteorder");
    const std::string_view text(reinterpret_cast<const char*>(order.data()), order.size());
    check_byte_order(text == "little", where);
  }
  return {read_pickle(zip.read(prefix + "data.pkl"), where),
          [zip, folder = prefix + "data/"](const std::string& key) { return zip.read(folder + key); }};
}

PytorchArchive open_pytorch_stream(std::span<const std::byte> bytes, const std::string& where) {
  Stream stream(bytes, where);
  const Pickle magic = stream.next();
  require(magic.top().kind == PickleKind::bytes && magic.top().text == magic_number,
          "{}: a pickle, but not a PyTorch checkpoint", where);
  const Pickle protocol = stream.next();
  require(protocol.top().kind == PickleKind::integer && protocol.top().integer == stream_protocol,
          "{}: an unknown version of the PyTorch stream format", where);
  const Pickle machine = stream.next();
  const PickleNode* little = machine.find(machine.top(), "little_endian");
  require(little && little->kind == PickleKind::boolean, "{}: the file does not say its byte order; it is damaged",
          where);
  check_byte_order(little->integer != 0, where);
  PytorchArchive archive{stream.next(), {}};
  const Pickle keys = stream.next();
  require(keys.top().kind == PickleKind::list, "{}: the list of storages is damaged", where);
  const auto widths = widths_of(archive.pickle, where);
  std::map<std::string, std::span<const std::byte>> storages;
  for (const PickleRef ref : keys.top().items) {
    const auto width = widths.find(keys.at(ref).text);
    require(keys.at(ref).kind == PickleKind::text && width != widths.end(),
            "{}: the file holds a storage that nothing refers to; it is damaged", where);
    uint64_t count = 0;
    std::memcpy(&count, stream.take(sizeof(count)).data(), sizeof(count));
    require(count <= bytes.size(), "{}: storage '{}' announces {} elements, more than the file holds; it is truncated",
            where, width->first, count);
    require(storages.emplace(width->first, stream.take(count * width->second)).second,
            "{}: storage '{}' comes twice; the file is damaged", where, width->first);
  }
  archive.storage = [storages = std::move(storages), where](const std::string& key) {
    const auto it = storages.find(key);
    require(it != storages.end(), "{}: storage '{}' is missing; the file is incomplete", where, key);
    return it->second;
  };
  return archive;
}

}  // namespace crate
