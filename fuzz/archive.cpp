// Any bytes as an archive, and as the payload of a segment: an Error, or bytes of the size promised. Sums are put right
// in half of the archives: damage behind them would never be met otherwise.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/sha256.h"
#include "model/language_model.h"
#include "work/compress/archive.h"
#include "work/compress/segment_coder.h"

namespace {

const crate::QuantizedModel& little_model() {
  static const crate::QuantizedModel model = [] {
    crate::Device device;
    crate::ModelConfig c;
    c.dim = 8;
    c.heads = c.layers = 1;
    c.vocab = 257;
    c.context = 16;
    crate::LanguageModel m(device, c);
    m.init(1);
    return crate::quantize(m, 8);
  }();
  return model;
}

void read_archive(std::string_view bytes) {
  crate::DecompressOptions options;
  options.model = little_model;
  options.open = [](const std::string&) { return [](std::string_view) {}; };
  crate::decompress(crate::source_of(std::string(bytes)), options);
}

void read_payload(std::string_view payload, bool mix, int64_t size) {
  static const crate::IntegerModel model(little_model(), 8);
  const auto coder = crate::model_coder(model, {.streams = 2, .mix = mix});
  if (static_cast<int64_t>(coder->decode(payload, size).size()) != size) std::abort();
}

// n bytes of the SHA-256 of a piece, written at `to`, as far as both lie in the archive.
void put_sum(std::string& archive, std::size_t from, std::size_t size, std::size_t to, std::size_t n) {
  if (from + size > archive.size() || to + n > archive.size()) return;
  const std::string hex = crate::sha256_hex(std::as_bytes(std::span(archive.data() + from, size)));
  for (std::size_t i = 0; i < n; ++i) archive[to + i] = static_cast<char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
}

std::size_t varint_at(const std::string& bytes, std::size_t& at) {
  std::size_t x = 0;
  for (int shift = 0; shift < 35 && at < bytes.size(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[at++]);
    x |= static_cast<std::size_t>(byte & 127) << shift;
    if (byte < 128) break;
  }
  return x;
}

// The sums of the header and of the payload of the first segment, where they are expected.
std::string with_right_sums(std::string archive) {
  if (archive.size() < 8) return archive;
  const int mode = archive[5] & 15;
  std::size_t at = 6;
  if (mode >= 2)
    at += varint_at(archive, at);  // of the learning
  else
    at += (archive[5] & 16) != 0 ? 4 : 2;
  if (mode == 0 || mode == 3)
    at += 16;
  else if (mode != 2)
    at += varint_at(archive, at);
  at += 4;  // the check of behaviour
  if (at + 4 > archive.size()) return archive;
  put_sum(archive, 0, at, at, 4);
  at += 5;
  varint_at(archive, at);
  ++at;
  const std::size_t size = varint_at(archive, at);
  put_sum(archive, at + 16, size, at, 8);
  return archive;
}

}  // namespace

// The first byte chooses what the rest is.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  try {
    if (data[0] % 8 == 0)
      read_payload(bytes, true, 1 + data[1]);
    else if (data[0] % 2 == 0)
      read_payload(bytes, false, 1 + data[1]);
    else if (data[0] % 4 == 3)
      read_archive(with_right_sums(std::string(bytes)));
    else
      read_archive(bytes);
  } catch (const crate::Error&) {
  }
  return 0;
}
