#include "work/explain/graph_file.h"

#include <cmath>

#include "base/error.h"
#include "work/page/html.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr std::size_t largest_text = std::size_t{1} << 28;
constexpr std::size_t largest_array = std::size_t{1} << 22;
constexpr int deepest = 16;

// The parser recurses nowhere, but what walks a document does: too deep ones are refused while they are read.
json parse_limited(std::string_view text, const std::string& where) {
  require(text.size() <= largest_text, "[explain] {} is {} bytes long; an explanation has at most {}", where,
          text.size(), largest_text);
  const auto check = [&](int depth, json::parse_event_t, json&) {
    require(depth <= deepest, "[explain] {} is nested deeper than {} levels", where, deepest);
    return true;
  };
  json document = json::parse(text, check, false);
  require(document.is_object(), "[explain] {} is not a JSON object", where);
  return document;
}

class Reader {
 public:
  Reader(const json& at, std::string path, const std::string& where) : at_(at), path_(std::move(path)), where_(where) {}

  Reader in(const std::string& key) const {
    require(at_.is_object() && at_.contains(key), "[explain] {}: {} holds no '{}'", where_, path_, key);
    return {at_[key], path_ + "." + key, where_};
  }
  bool has(const std::string& key) const { return at_.is_object() && at_.contains(key); }
  std::string text() const {
    require(at_.is_string(), "[explain] {}: {} must be a text", where_, path_);
    return at_.get<std::string>();
  }
  int64_t whole(int64_t largest) const {
    require(at_.is_number_integer(), "[explain] {}: {} must be a whole number", where_, path_);
    const bool fits = at_.is_number_unsigned() ? at_.get<uint64_t>() <= static_cast<uint64_t>(largest)
                                               : at_.get<int64_t>() >= 0 && at_.get<int64_t>() <= largest;
    require(fits, "[explain] {}: {} must lie in 0..{}, came {}", where_, path_, largest, at_.dump());
    return at_.get<int64_t>();
  }
  double number() const {
    require(at_.is_number() && std::isfinite(at_.get<double>()), "[explain] {}: {} must be a number", where_, path_);
    return at_.get<double>();
  }
  const json& list() const {
    require(at_.is_array() && at_.size() <= largest_array, "[explain] {}: {} must be a list of at most {}", where_,
            path_, largest_array);
    return at_;
  }
  Reader at(std::size_t i) const { return {at_[i], fmt::format("{}[{}]", path_, i), where_}; }

 private:
  const json& at_;
  std::string path_;
  const std::string& where_;
};

void check_graph(const Reader& top) {
  for (const char* name : {"nodes", "links"}) {
    const Reader list = top.in(name);
    const std::size_t count = list.list().size();
    for (std::size_t i = 0; i < count; ++i) {
      const Reader entry = list.at(i);
      if (std::string_view(name) == "nodes") {
        entry.in("node_id").text();
        entry.in("activation").number();
        entry.in("crate").in("gives").number();
        entry.in("crate").in("unit").text();
      } else {
        entry.in("source").text();
        entry.in("target").text();
        entry.in("weight").number();
      }
    }
  }
}

constexpr std::string_view digits64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr int64_t largest_image = int64_t{1} << 22;  // pixels: what a model reads is small

}  // namespace

std::string text_of_image(const Image& image) {
  const std::vector<std::byte> png = encode_png(image);
  return base64({reinterpret_cast<const char*>(png.data()), png.size()});
}

Image image_of_text(std::string_view text, const std::string& where) {
  std::vector<std::byte> png;
  uint32_t group = 0;
  int bits = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (const char c : text) {
    const std::size_t digit = digits64.find(c);
    require(digit != std::string_view::npos, "[explain] {}: the input image is no base64", where);
    group = group << 6 | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    png.push_back(static_cast<std::byte>(group >> bits & 255));
  }
  return decode_image(png, where, {.pixels = largest_image});
}

GraphFile parse_graph_file(std::string_view text, const std::string& where) {
  GraphFile file;
  file.document = parse_limited(text, where);
  const Reader top(file.document, "document", where);
  const Reader metadata = top.in("metadata"), ours = metadata.in("crate"), target = ours.in("target");
  const int64_t format = ours.in("format").whole(1 << 20);
  require(format == 1, "[explain] {}: format {} is not known here, only 1", where, format);
  file.weights_hash = ours.in("model").in("weights_sha256").text();
  file.config_hash = ours.in("model").in("config_sha256").text();
  file.device = ours.in("device").text();
  file.family = family_of(ours.in("model").in("family").text());
  const Reader input = ours.in("input");
  if (is_image(file.family)) {
    file.image = image_of_text(input.in("image_png").text(), where);
    file.image_name = input.in("name").text();
  } else {
    const Reader tokens = input.in("tokens");
    const std::size_t count = tokens.list().size();
    for (std::size_t i = 0; i < count; ++i) file.tokens.push_back(static_cast<int32_t>(tokens.at(i).whole(INT32_MAX)));
    require(!file.tokens.empty(), "[explain] {}: the input holds no tokens", where);
  }
  target.in("value").number();
  if (target.has("score")) {
    file.target.position = target.in("position").whole(INT32_MAX);
    file.target.score = target.in("score").whole(INT32_MAX);
    if (target.has("contrast")) file.target.contrast = target.in("contrast").whole(INT32_MAX);
  } else {
    file.target.is_unit = true;
    file.target_unit = target.in("unit").text();
  }
  constexpr std::size_t most_changes = 4096;
  const Reader changes = ours.in("changes");
  const std::size_t count = changes.list().size();
  require(count <= most_changes, "[explain] {}: {} changes, at most {} are read", where, count, most_changes);
  for (std::size_t i = 0; i < count; ++i) {
    const Reader change = changes.at(i);
    file.changes.push_back(parse_intervention(change_named(change.in("kind").text()), change.in("what").text()));
  }
  file.options.top = ours.in("options").in("top").whole(1 << 20);
  file.options.node_threshold = metadata.in("node_threshold").number();
  file.options.edge_threshold = metadata.in("edge_threshold").number();
  check_graph(top);
  return file;
}

}  // namespace crate
