// Tokenizer files from untrusted bytes; what loads must round-trip whatever it is given.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "work/data/bpe.h"

namespace {

void check_round_trip(const crate::Tokenizer& tokenizer, std::string_view text) {
  if (tokenizer.decode(tokenizer.encode(text)) != text) std::abort();
}

}  // namespace

// The first byte chooses the format; for OpenAI's pair the second says where its second file begins.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  try {
    if (data[0] % 2 == 0) {
      check_round_trip(*crate::parse_tokenizer_json(text, "fuzz"), text);
    } else {
      const std::size_t cut = text.size() * data[1] / 256;
      check_round_trip(*crate::parse_openai_bpe(text.substr(0, cut), text.substr(cut), "fuzz"), text);
    }
  } catch (const crate::Error&) {
  }
  static const auto bytes_only = [] {
    crate::BpeModel model;
    for (int b = 0; b < 256; ++b) model.pieces.emplace_back(1, static_cast<char>(b));
    for (const auto& [a, b] : {std::pair("t", "h"), std::pair("th", "e"), std::pair(" ", "the"), std::pair("a", "a"),
                               std::pair("aa", "aa")}) {
      model.merges.emplace_back(a, b);
      model.pieces.push_back(std::string(a) + b);
    }
    model.pieces.push_back(model.separator);
    return crate::make_bpe(std::move(model), "fuzz");
  }();
  check_round_trip(*bytes_only, text);
  return 0;
}
