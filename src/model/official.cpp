#include "model/official.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "model/names.h"

namespace crate {

using nlohmann::json;

bool is_official_setting(std::string_view key) { return is_text_setting(key) || is_image_setting(key); }

const Array& tensor_of(const OfficialModel& source, Family family, const std::string& ours, std::size_t rank) {
  const auto it = source.tensors.find(ours);
  require(it != source.tensors.end(), "{} misses {}; is --family right?", source.path, official_name(family, ours));
  require(it->second.shape.size() == rank, "{}: {} must have {} dimensions, came {}", source.path,
          official_name(family, ours), rank, it->second.shape_str());
  return it->second;
}

int64_t count_layers(const OfficialModel& source, std::string_view prefix) {
  std::set<std::string> layers;
  for (const auto& [name, array] : source.tensors) {
    if (name.starts_with(prefix)) layers.insert(name.substr(0, name.find('.', prefix.size())));
  }
  require(!layers.empty(), "{} holds no layers", source.path);
  return static_cast<int64_t>(layers.size());
}

void must_agree(const OfficialModel& source, const std::string& key, const std::string& shapes_tell) {
  const std::string& value = source.config.at(key);
  require(json::parse(value, nullptr, false) == json::parse(shapes_tell),
          "{}: {} was given as {}, but the tensors say {}", source.path, key, value, shapes_tell);
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t most = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i) text += (i ? ", " : "") + names[i];
  return names.size() > most ? fmt::format("{} and {} more", text, names.size() - most) : text;
}

std::string one_or_all(const std::vector<double>& values) {
  return (values.size() == 1 ? json(values[0]) : json(values)).dump();
}

}  // namespace crate
