#include "work/compress/packed_model.h"

#include <bit>
#include <filesystem>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "model/checkpoint.h"
#include "model/parameters.h"
#include "work/compress/bytes.h"
#include "work/compress/coder.h"

namespace crate {
namespace {

constexpr std::string_view magic = "CRQ1";
constexpr int64_t most_numbers = int64_t{1} << 28;
constexpr int64_t most_numbers_a_byte = 4096;  // a learning bit costs at least 0.00035 bits, a number eight of them

uint32_t bits_of(float x) { return std::bit_cast<uint32_t>(x); }

void put_matrix(BitEncoder& coder, const QuantizedMatrix& m) {
  LearningByte upper, lower, symbol;
  for (const float s : m.scales) {
    upper.put(coder, static_cast<uint8_t>(bits_of(s) >> 24));
    lower.put(coder, static_cast<uint8_t>(bits_of(s) >> 16));
  }
  for (const int8_t q : m.values) symbol.put(coder, static_cast<uint8_t>(q));
}

QuantizedMatrix get_matrix(BitDecoder& coder, int64_t rows, int64_t cols, const std::string& where) {
  LearningByte upper, lower, symbol;
  QuantizedMatrix m{rows, cols, std::vector<int8_t>(static_cast<std::size_t>(rows * cols)), {}};
  for (int64_t i = 0; i < rows; ++i) {
    const uint32_t top = upper.get(coder);
    m.scales.push_back(std::bit_cast<float>(top << 24 | uint32_t{lower.get(coder)} << 16));
  }
  for (int8_t& q : m.values) {
    q = static_cast<int8_t>(symbol.get(coder));
    require(!coder.overrun(), "{} is cut short; restore it from a copy", where);
    require(q >= -127, "{} is damaged: a level of {}; restore it from a copy", where, q);
  }
  return m;
}

void put_vector(BitEncoder& coder, const std::vector<float>& values) {
  LearningByte byte[3];
  for (const float v : values)
    for (int b = 0; b < 3; ++b) byte[b].put(coder, static_cast<uint8_t>(bits_of(v) >> (24 - 8 * b)));
}

// Damage shows as numbers that no model has; they would overflow the integers made of them.
void check_numbers(const std::vector<float>& values, float least, float most, const std::string& where) {
  for (const float v : values)
    require(v >= least && v <= most, "{} is damaged: a weight of {}; restore it from a copy", where, v);
}

std::vector<float> get_vector(BitDecoder& coder, int64_t n) {
  LearningByte byte[3];
  std::vector<float> values;
  for (int64_t i = 0; i < n; ++i) {
    uint32_t bits = 0;
    for (int b = 0; b < 3; ++b) bits |= uint32_t{byte[b].get(coder)} << (24 - 8 * b);
    values.push_back(std::bit_cast<float>(bits));
  }
  return values;
}

}  // namespace

std::string pack_model(const QuantizedModel& model) {
  std::string out(magic);
  const std::string config = to_json(model.config);
  put_varint(out, config.size());
  out += config;
  out.push_back(static_cast<char>(model.bits));
  BitEncoder coder(out);
  for (const ParameterShape& p : parameter_shapes(model.config)) {
    const auto& [name, shape] = std::tie(p.name, p.shape);
    if (shape.rank() == 2)
      put_matrix(coder, model.matrix(name));
    else
      put_vector(coder, model.vector(name));
  }
  coder.finish();
  return out;
}

QuantizedModel unpack_model(std::string_view bytes, const std::string& where) {
  ByteReader in(bytes, where);
  require(in.take(magic.size()) == magic, "{} is no quantized model: make one with crate quantize", where);
  QuantizedModel model;
  const std::string_view config = in.take(in.varint(1 << 20));
  model.config = config_from_json(config, where);
  model.config.validate();
  model.bits = static_cast<uint8_t>(in.take(1)[0]);
  const int64_t numbers = count_parameters(model.config).all;
  require(numbers <= most_numbers, "{} describes a model of more than {} numbers", where, most_numbers);
  require(numbers <= most_numbers_a_byte * static_cast<int64_t>(bytes.size()),
          "{} is damaged: {} numbers do not fit {} bytes; restore it from a copy", where, numbers, bytes.size());
  BitDecoder coder(in.rest());
  for (const ParameterShape& p : parameter_shapes(model.config)) {
    const auto& [name, shape] = std::tie(p.name, p.shape);
    if (shape.rank() == 2)
      model.matrices[name] = get_matrix(coder, shape[0], shape[1], where);
    else
      model.vectors[name] = get_vector(coder, shape.numel());
    require(!coder.overrun(), "{} is cut short; restore it from a copy", where);
    if (shape.rank() == 2)
      check_numbers(model.matrices[name].scales, 0, 1024, where);
    else
      check_numbers(model.vectors[name], -16384, 16384, where);
  }
  return model;
}

QuantizedModel load_quantized(const std::string& path, int bits) {
  if (!std::filesystem::is_directory(path)) return unpack_model(read_text_file(path), path);
  Device device;
  return quantize(*load_language_model(device, path), bits);
}

}  // namespace crate
