#include "model/files/pytorch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "model/files/pickle_json.h"
#include "model/files/pytorch_storage.h"

namespace crate {
namespace {

constexpr int deepest_nesting = 4;

bool holds_tensors(const Pickle& pickle, const PickleNode& node) {
  if (node.kind != PickleKind::dict) return false;
  for (std::size_t i = 0; i < node.items.size(); i += 2) {
    if (pickle.at(node.items[i]).kind == PickleKind::text && pickle.at(node.items[i + 1]).kind == PickleKind::tensor) {
      return true;
    }
  }
  return false;
}

/// The dict of tensors: that of a nested key first, for a training script may keep a loose tensor beside it.
const PickleNode* find_state_dict(const Pickle& pickle, const PickleNode& node, const PytorchOptions& options,
                                  int depth) {
  if (node.kind != PickleKind::dict || depth > deepest_nesting) return nullptr;
  for (const std::string& key : options.nested_in) {
    const PickleNode* inner = pickle.find(node, key);
    const PickleNode* found = inner ? find_state_dict(pickle, *inner, options, depth + 1) : nullptr;
    if (found) return found;
  }
  return holds_tensors(pickle, node) ? &node : nullptr;
}

/// Drops a prefix that every name has, again and again: wrappers nest.
void drop_prefixes(ArrayMap& tensors, const std::vector<std::string>& prefixes) {
  std::size_t drop = 0;
  const auto everywhere = [&](const std::string& prefix) {
    return !prefix.empty() && std::all_of(tensors.begin(), tensors.end(), [&](const auto& t) {
      return t.first.size() > drop + prefix.size() && t.first.compare(drop, prefix.size(), prefix) == 0;
    });
  };
  for (auto it = prefixes.begin(); it != prefixes.end();) {
    if (everywhere(*it)) {
      drop += it->size();
      it = prefixes.begin();
    } else {
      ++it;
    }
  }
  if (drop == 0) return;
  ArrayMap renamed;
  for (auto& [name, array] : tensors) renamed.emplace(name.substr(drop), std::move(array));
  tensors = std::move(renamed);
}

}  // namespace

PytorchFile parse_pytorch(std::span<const std::byte> bytes, const std::shared_ptr<const void>& owner,
                          const std::string& name, const PytorchOptions& options) {
  const bool zip = bytes.size() >= 2 && bytes[0] == std::byte{'P'} && bytes[1] == std::byte{'K'};
  const bool stream = !zip && !bytes.empty() && bytes[0] == std::byte{0x80};
  require(zip || stream, "{}: not a PyTorch checkpoint (neither a zip archive nor a pickle)", name);
  const PytorchArchive archive = zip ? open_pytorch_zip(bytes, name) : open_pytorch_stream(bytes, name);
  const Pickle& pickle = archive.pickle;
  const PickleNode* dict = find_state_dict(pickle, pickle.top(), options, 0);
  require(dict, "{}: no dict of tensors found, at the top or under {}; save model.state_dict() in PyTorch", name,
          fmt::join(options.nested_in, ", "));
  TensorReader reader(archive, bytes.size(), owner);
  PytorchFile file;
  for (std::size_t i = 0; i < dict->items.size(); i += 2) {
    const PickleNode &key = pickle.at(dict->items[i]), &value = pickle.at(dict->items[i + 1]);
    if (key.kind != PickleKind::text || value.kind != PickleKind::tensor) continue;
    file.tensors.insert_or_assign(key.text, reader.read(value, name + ": tensor " + key.text));
  }
  drop_prefixes(file.tensors, options.dropped_prefixes);
  file.plain = pickle.top().kind == PickleKind::dict ? plain_json(pickle, pickle.top()) : "{}";
  return file;
}

PytorchFile read_pytorch(const std::string& path, const PytorchOptions& options) {
  auto map = std::make_shared<MappedFile>(path);
  const auto bytes = map->bytes();
  return parse_pytorch(bytes, map, path, options);
}

}  // namespace crate
