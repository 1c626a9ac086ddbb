#include "model/files/pickle_json.h"

#include <nlohmann/json.hpp>
#include <optional>

namespace crate {
namespace {

using nlohmann::json;

class Writer {
 public:
  explicit Writer(const Pickle& pickle) : pickle_(pickle) {}

  json value(const PickleNode& node, int depth) {
    const std::size_t cost = 16 + node.text.size();
    if (depth > deepest || cost > budget_) return nullptr;
    budget_ -= cost;
    switch (node.kind) {
      case PickleKind::boolean:
        return node.integer != 0;
      case PickleKind::integer:
        return node.integer;
      case PickleKind::real:
        return node.real;
      case PickleKind::text:
      case PickleKind::global:
        return node.text;
      case PickleKind::list:
      case PickleKind::tuple:
        return list(node, depth);
      case PickleKind::dict:
        return dict(node, depth);
      case PickleKind::none:
      case PickleKind::bytes:
      case PickleKind::storage:
      case PickleKind::tensor:
        break;
    }
    return nullptr;
  }

 private:
  json list(const PickleNode& node, int depth) {
    json out = json::array();
    for (const PickleRef item : node.items) {
      if (budget_ < smallest) break;
      out.push_back(value(pickle_.at(item), depth + 1));
    }
    return out;
  }

  json dict(const PickleNode& node, int depth) {
    json out = json::object();
    for (std::size_t i = 0; i + 1 < node.items.size() && budget_ >= smallest; i += 2) {
      const PickleNode &key = pickle_.at(node.items[i]), &item = pickle_.at(node.items[i + 1]);
      const bool array = item.kind == PickleKind::tensor || item.kind == PickleKind::storage;
      const std::optional<std::string> name = array ? std::nullopt : key_text(key);
      if (name) out[*name] = value(item, depth + 1);
    }
    return out;
  }

  std::optional<std::string> key_text(const PickleNode& key) {
    if (key.kind == PickleKind::integer) return std::to_string(key.integer);
    if (key.kind != PickleKind::text || key.text.size() > budget_) return std::nullopt;
    budget_ -= key.text.size();
    return key.text;
  }

  static constexpr int deepest = 64;
  static constexpr std::size_t smallest = 16;
  const Pickle& pickle_;
  std::size_t budget_ = std::size_t{1} << 22;
};

}  // namespace

std::string plain_json(const Pickle& pickle, const PickleNode& node) { return Writer(pickle).value(node, 0).dump(); }

}  // namespace crate
