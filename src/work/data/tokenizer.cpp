#include "work/data/tokenizer.h"

#include <array>
#include <filesystem>

#include "base/error.h"
#include "work/data/bpe.h"

namespace crate {
namespace {

constexpr int32_t byte_separator = 256;

class ByteTokenizer final : public Tokenizer {
 public:
  ByteTokenizer() {
    for (std::size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = static_cast<char>(i);
  }
  std::string kind() const override { return "bytes"; }
  std::string identity() const override { return "bytes"; }
  int64_t vocab_size() const override { return 257; }
  int32_t separator() const override { return byte_separator; }

  void encode(std::string_view text, std::vector<int32_t>& out) const override {
    out.reserve(out.size() + text.size());
    for (const char c : text) out.push_back(static_cast<unsigned char>(c));
  }

  std::string_view bytes_of(int32_t token) const override {
    if (token == byte_separator) return {};
    require(token >= 0 && token < byte_separator, "[bytes] token {} lies outside 0..256", token);
    return {&bytes_[static_cast<std::size_t>(token)], 1};
  }

 private:
  std::array<char, 256> bytes_;
};

}  // namespace

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> out;
  encode(text, out);
  return out;
}

std::string Tokenizer::decode(const std::vector<int32_t>& tokens) const {
  std::string out;
  for (const int32_t t : tokens) out += bytes_of(t);
  return out;
}

std::unique_ptr<Tokenizer> byte_tokenizer() { return std::make_unique<ByteTokenizer>(); }

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path) {
  namespace fs = std::filesystem;
  if (path.empty() || path == "bytes") return byte_tokenizer();
  require(fs::exists(path), "no tokenizer at {}: expected 'bytes', a tokenizer.json, or a folder", path);
  if (!fs::is_directory(path)) return read_tokenizer_json(path);
  const fs::path folder(path);
  if (fs::exists(folder / "tokenizer.json")) return read_tokenizer_json(folder / "tokenizer.json");
  if (fs::exists(folder / "encoder.json")) return read_openai_bpe(folder / "encoder.json", folder / "vocab.bpe");
  return byte_tokenizer();
}

}  // namespace crate
