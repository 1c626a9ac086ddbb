// bpe_files: byte-level BPE vocabularies in OpenAI's and Hugging Face's formats. Both write a byte as a printable
// Unicode character: the 188 printable bytes of Latin-1 as themselves, the others as U+0100 and up in their order.
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "work/data/bpe.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr const char* gpt2_pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

bool prints_as_itself(int b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255); }

class ByteAlphabet {
 public:
  ByteAlphabet() {
    int next = 256;
    for (int b = 0; b < 256; ++b) {
      const int code = prints_as_itself(b) ? b : next++;
      std::string text;
      if (code < 0x80) {
        text = static_cast<char>(code);
      } else {
        text += static_cast<char>(0xC0 | code >> 6);
        text += static_cast<char>(0x80 | (code & 63));
      }
      letters_[static_cast<std::size_t>(b)] = text;
      bytes_[text] = static_cast<char>(b);
    }
  }
  std::string write(std::string_view bytes) const {
    std::string out;
    for (const char c : bytes) out += letters_[static_cast<unsigned char>(c)];
    return out;
  }
  std::string read(std::string_view text, const std::string& where) const {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t length = static_cast<unsigned char>(text[i]) < 0x80 ? 1 : 2;
      const auto it = bytes_.find(std::string(text.substr(i, length)));
      require(it != bytes_.end(), "{}: the piece '{}' is not written in the byte-level alphabet", where, text);
      out += it->second;
      i += length;
    }
    return out;
  }

 private:
  std::array<std::string, 256> letters_;
  std::unordered_map<std::string, char> bytes_;
};

json parse_object(std::string_view text, const std::string& where) {
  json out = json::parse(text, nullptr, false);
  require(out.is_object(), "{}: not a JSON object", where);
  return out;
}

void set_piece(std::vector<std::string>& pieces, const json& id, std::string piece, const std::string& where) {
  constexpr uint64_t largest = 1 << 24;
  require(id.is_number_unsigned() && id.get<uint64_t>() < largest, "{}: token numbers must lie in 0..{}", where,
          largest);
  const auto i = id.get<std::size_t>();
  if (pieces.size() <= i) pieces.resize(i + 1);
  require(pieces[i].empty() || pieces[i] == piece, "{}: token {} is given twice", where, i);
  pieces[i] = std::move(piece);
}

void check_full(const std::vector<std::string>& pieces, const std::string& where) {
  for (std::size_t i = 0; i < pieces.size(); ++i) require(!pieces[i].empty(), "{}: there is no token {}", where, i);
}

std::pair<std::string, std::string> merge_from(std::string_view line, const ByteAlphabet& alphabet,
                                               const std::string& where) {
  const std::size_t space = line.find(' ');
  require(space != std::string_view::npos && line.find(' ', space + 1) == std::string_view::npos,
          "{}: a merge must be two pieces, came '{}'", where, line);
  return {alphabet.read(line.substr(0, space), where), alphabet.read(line.substr(space + 1), where)};
}

bool is_null(const json& object, const char* key) { return !object.contains(key) || object[key].is_null(); }

// True when the pre-tokenizer cuts texts into words as GPT-2 does; refuses any other cut.
bool cuts_words(const json& from, const std::string& where) {
  const std::string type = from.value("type", "");
  if (type == "ByteLevel") {
    require(!from.value("add_prefix_space", false), "{}: add_prefix_space is not supported", where);
    return from.value("use_regex", true);
  }
  if (type == "Sequence" && from.contains("pretokenizers")) {
    bool cuts = false;
    for (const json& part : from["pretokenizers"]) cuts |= cuts_words(part, where);
    return cuts;
  }
  if (type == "Split" && from.contains("pattern")) {
    const std::string pattern = from["pattern"].is_object() ? from["pattern"].value("Regex", "") : "";
    require(pattern == gpt2_pattern, "{}: only GPT-2's split pattern is supported, came '{}'", where, pattern);
    require(from.value("behavior", "Isolated") == "Isolated" && !from.value("invert", false),
            "{}: a Split must keep what it matches (behavior Isolated, not inverted)", where);
    return true;
  }
  fail("{}: the pre-tokenizer '{}' is not supported (expected ByteLevel)", where, type);
}

void check_supported(const json& from, const std::string& where) {
  require(from.contains("model") && from["model"].is_object(), "{}: no model", where);
  const json& model = from["model"];
  const std::string type = model.value("type", "BPE");
  require(type == "BPE", "{}: a {} tokenizer is not supported (expected byte-level BPE)", where, type);
  require(is_null(from, "normalizer"), "{}: a normalizer is not supported", where);
  require(!is_null(from, "pre_tokenizer"), "{}: no pre-tokenizer; expected ByteLevel", where);
  require(cuts_words(from["pre_tokenizer"], where),
          "{}: a tokenizer that does not cut texts into words is not supported", where);
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    require(is_null(model, key) || model[key] == "", "{}: {} is not supported", where, key);
  }
  require(is_null(model, "dropout"), "{}: BPE dropout is not supported", where);
  for (const char* key : {"byte_fallback", "ignore_merges"})
    require(!model.value(key, false), "{}: {} is not supported", where, key);
  require(
      model.contains("vocab") && model["vocab"].is_object() && model.contains("merges") && model["merges"].is_array(),
      "{}: the model has no vocab or no merges", where);
}

BpeModel model_from(const json& from, const std::string& where) {
  const ByteAlphabet alphabet;
  BpeModel out;
  std::unordered_map<std::string, bool> added;
  std::string separator;
  if (!is_null(from, "added_tokens")) {
    for (const json& token : from["added_tokens"]) {
      const std::string content = token.at("content").get<std::string>();
      set_piece(out.pieces, token.at("id"), content, where);
      added[content] = true;
      if (separator.empty() || content == "<|endoftext|>") separator = content;
    }
  }
  require(!separator.empty(), "{}: no added token to stand between documents, such as <|endoftext|>", where);
  out.separator = separator;
  for (const auto& [piece, id] : from["model"]["vocab"].items()) {
    set_piece(out.pieces, id, added.contains(piece) ? piece : alphabet.read(piece, where), where);
  }
  for (const json& merge : from["model"]["merges"]) {
    if (merge.is_string()) {
      out.merges.push_back(merge_from(merge.get_ref<const std::string&>(), alphabet, where));
    } else {
      require(merge.is_array() && merge.size() == 2, "{}: a merge must be two pieces", where);
      out.merges.emplace_back(alphabet.read(merge[0].get<std::string>(), where),
                              alphabet.read(merge[1].get<std::string>(), where));
    }
  }
  check_full(out.pieces, where);
  return out;
}

}  // namespace

std::unique_ptr<Tokenizer> parse_tokenizer_json(std::string_view text, const std::string& where) {
  const json from = parse_object(text, where);
  try {
    check_supported(from, where);
    return make_bpe(model_from(from, where), where);
  } catch (const json::exception& e) {
    fail("{}: not a tokenizer.json: {}", where, e.what());
  }
}

std::unique_ptr<Tokenizer> read_tokenizer_json(const std::string& path) {
  return parse_tokenizer_json(read_text_file(path), path);
}

std::unique_ptr<Tokenizer> parse_openai_bpe(std::string_view encoder_json, std::string_view vocab_bpe,
                                            const std::string& where) {
  const ByteAlphabet alphabet;
  BpeModel model;
  const json vocab = parse_object(encoder_json, where);
  for (const auto& [piece, id] : vocab.items()) {
    set_piece(model.pieces, id, piece == model.separator ? piece : alphabet.read(piece, where), where);
  }
  check_full(model.pieces, where);
  bool first = true;
  while (!vocab_bpe.empty()) {
    const std::size_t end = std::min(vocab_bpe.find('\n'), vocab_bpe.size());
    const std::string_view line = vocab_bpe.substr(0, end);
    vocab_bpe.remove_prefix(std::min(end + 1, vocab_bpe.size()));
    if (!std::exchange(first, false) || !line.starts_with("#version")) {
      if (!line.empty()) model.merges.push_back(merge_from(line, alphabet, where));
    }
  }
  return make_bpe(std::move(model), where);
}

std::unique_ptr<Tokenizer> read_openai_bpe(const std::string& encoder_json, const std::string& vocab_bpe) {
  return parse_openai_bpe(read_text_file(encoder_json), read_text_file(vocab_bpe), encoder_json);
}

// Written by hand: a JSON library's ordered object looks every key up, and there are tens of thousands.
std::string tokenizer_json(const BpeModel& model) {
  const ByteAlphabet alphabet;
  const auto quoted = [](const std::string& text) { return json(text).dump(); };
  std::string vocab, merges;
  std::size_t separator = 0;
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const bool special = model.pieces[i] == model.separator;
    if (special) separator = i;
    vocab += fmt::format("{}\n   {}: {}", i ? "," : "",
                         quoted(special ? model.pieces[i] : alphabet.write(model.pieces[i])), i);
  }
  for (const auto& [a, b] : model.merges) {
    merges += fmt::format("{}\n   {}", merges.empty() ? "" : ",", quoted(alphabet.write(a) + " " + alphabet.write(b)));
  }
  const std::string byte_level =
      R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})";
  std::string out = "{\n \"version\": \"1.0\",\n \"truncation\": null,\n \"padding\": null,\n";
  out += fmt::format(
      " \"added_tokens\": [{{\"id\": {}, \"content\": {}, \"single_word\": false, \"lstrip\": false, \"rstrip\": "
      "false, "
      "\"normalized\": false, \"special\": true}}],\n",
      separator, quoted(model.separator));
  out += " \"normalizer\": null,\n \"pre_tokenizer\": " + byte_level +
         ",\n \"post_processor\": null,\n \"decoder\": " + byte_level + ",\n";
  out +=
      " \"model\": {\n  \"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": "
      "null, "
      "\"end_of_word_suffix\": null, \"fuse_unk\": false, \"byte_fallback\": false,\n";
  return out + "  \"vocab\": {" + vocab + "\n  },\n  \"merges\": [" + merges + "\n  ]\n }\n}\n";
}

}  // namespace crate
