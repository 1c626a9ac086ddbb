#include "model/files/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr uint64_t longest_header = 100'000'000;  // the limit of the reference implementation
constexpr int deepest = 8;                        // a valid header nests three levels

json parse_header(std::string_view text, const std::string& name) {
  std::vector<std::vector<std::string>> keys;
  bool doubled = false, deep = false;
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    deep = deep || depth > deepest;
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end && !keys.empty()) {
      std::sort(keys.back().begin(), keys.back().end());
      doubled = doubled || std::adjacent_find(keys.back().begin(), keys.back().end()) != keys.back().end();
      keys.pop_back();
    }
    if (event == json::parse_event_t::key && !keys.empty()) keys.back().push_back(value.get<std::string>());
    return !deep;
  };
  const json header = json::parse(text, watch, false);
  require(!deep && header.is_object(), "{}: the header is not a JSON object", name);
  require(!doubled, "{}: a name appears twice in the header", name);
  return header;
}

struct Entry {
  uint64_t begin, end;
  std::string name;
};

uint64_t whole(const json& value, const std::string& where) {
  require(value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() >= 0),
          "{}: expected a number >= 0, came {}", where, value.dump(-1, ' ', false, json::error_handler_t::replace));
  return value.get<uint64_t>();
}

std::vector<int64_t> shape_from(const json& value, const std::string& where) {
  require(value.is_array() && value.size() <= 32, "{}: shape must be a list", where);
  std::vector<int64_t> shape;
  for (const json& d : value) {
    const uint64_t n = whole(d, where + ": shape");
    require(n <= (uint64_t{1} << 62), "{}: the shape is too large", where);
    shape.push_back(static_cast<int64_t>(n));
  }
  return shape;
}

Array array_from(const json& entry, std::span<const std::byte> data, const std::string& where, Entry& place) {
  require(entry.is_object() && entry.contains("dtype") && entry.contains("shape") && entry.contains("data_offsets"),
          "{}: needs dtype, shape and data_offsets", where);
  const json &dtype = entry["dtype"], &offsets = entry["data_offsets"];
  require(dtype.is_string(), "{}: dtype must be a name", where);
  Array a;
  try {
    a.dtype = file_dtype_of(dtype.get_ref<const std::string&>());
  } catch (const Error& e) {
    fail("{}: {}", where, e.what());
  }
  a.shape = shape_from(entry["shape"], where);
  require(offsets.is_array() && offsets.size() == 2, "{}: data_offsets must be two numbers", where);
  place.begin = whole(offsets[0], where);
  place.end = whole(offsets[1], where);
  require(place.begin <= place.end && place.end <= data.size(), "{}: bytes {}..{} lie outside the {} bytes of data",
          where, place.begin, place.end, data.size());
  const int64_t n = checked_numel(a.shape, size_of(a.dtype), where);
  require(place.end - place.begin == static_cast<uint64_t>(n) * size_of(a.dtype), "{}: {} bytes do not hold {} of {}",
          where, place.end - place.begin, a.shape_str(), name_of(a.dtype));
  a.bytes = data.subspan(place.begin, place.end - place.begin);
  return a;
}

void check_cover(std::vector<Entry> entries, uint64_t size, const std::string& name) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t at = 0;
  for (const Entry& e : entries) {
    require(e.begin == at, "{}: tensor {} begins at byte {}, expected {} (overlap or gap)", name, e.name, e.begin, at);
    at = e.end;
  }
  require(at == size, "{}: {} bytes of data, the header accounts for {} (truncated or damaged)", name, size, at);
}

}  // namespace

SafetensorsFile parse_safetensors(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                  const std::string& name) {
  uint64_t length = 0;
  require(bytes.size() >= sizeof(length), "{}: not a safetensors file: only {} bytes long", name, bytes.size());
  std::memcpy(&length, bytes.data(), sizeof(length));
  require(length <= longest_header && length <= bytes.size() - sizeof(length),
          "{}: not a safetensors file, or truncated: a header of {} bytes is announced", name, length);
  const json header = parse_header({reinterpret_cast<const char*>(bytes.data()) + sizeof(length), length}, name);
  const auto data = bytes.subspan(sizeof(length) + length);
  SafetensorsFile file;
  std::vector<Entry> entries;
  for (const auto& [key, value] : header.items()) {
    if (key == "__metadata__") {
      require(value.is_object(), "{}: __metadata__ must be an object", name);
      for (const auto& [k, v] : value.items()) {
        require(v.is_string(), "{}: __metadata__ must hold strings", name);
        file.metadata[k] = v.get<std::string>();
      }
      continue;
    }
    Entry place{0, 0, key};
    Array a = array_from(value, data, name + ": tensor " + key, place);
    a.owner = owner;
    file.tensors.emplace(key, std::move(a));
    entries.push_back(std::move(place));
  }
  check_cover(std::move(entries), data.size(), name);
  return file;
}

SafetensorsFile read_safetensors(const std::string& path) {
  auto map = std::make_shared<MappedFile>(path);
  const auto bytes = map->bytes();
  return parse_safetensors(bytes, std::move(map), path);
}

void write_safetensors(const std::string& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t at = 0;
  for (const TensorToWrite& t : tensors) {
    const auto n = static_cast<uint64_t>(checked_numel(t.shape, size_of(t.dtype), t.name));
    require(t.bytes.size() == n * size_of(t.dtype), "{}: tensor {} has {} bytes, its shape needs {}", path, t.name,
            t.bytes.size(), n * size_of(t.dtype));
    require(!header.contains(t.name), "{}: tensor {} is written twice", path, t.name);
    header[t.name] = {{"dtype", name_of(t.dtype)}, {"shape", t.shape}, {"data_offsets", {at, at + t.bytes.size()}}};
    at += t.bytes.size();
  }
  std::string text = header.is_null() ? "{}" : header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t length = text.size();
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(text);
  for (const TensorToWrite& t : tensors) file.write(t.bytes);
  file.commit();
}

}  // namespace crate
