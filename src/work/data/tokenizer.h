// tokenizer: text to token numbers and back. Any bytes round-trip.
//   bytes  256 bytes and the document separator 256: a vocabulary of 257
//   bpe    GPT-2's byte-level byte-pair encoding, see bpe.h
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace crate {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::string kind() const = 0;  // "bytes", "bpe"
  virtual int64_t vocab_size() const = 0;
  /// The token that stands between documents.
  virtual int32_t separator() const = 0;
  /// Appends the tokens of a text. Thread-safe. Special tokens in the text are ordinary text.
  virtual void encode(std::string_view text, std::vector<int32_t>& out) const = 0;
  /// The bytes of one token; empty for the separator. Throws Error outside the vocabulary.
  virtual std::string_view bytes_of(int32_t token) const = 0;
  /// tokenizer.json, or nothing for bytes.
  virtual std::string to_json() const { return {}; }

  std::vector<int32_t> encode(std::string_view text) const;
  std::string decode(const std::vector<int32_t>& tokens) const;
  /// What data and models record to recognise each other: "bytes", or the hash of the vocabulary and merges.
  virtual std::string identity() const = 0;
};

std::unique_ptr<Tokenizer> byte_tokenizer();

/// "bytes"; a tokenizer.json; a folder holding one, or encoder.json and vocab.bpe, or neither (then bytes).
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path);

}  // namespace crate
