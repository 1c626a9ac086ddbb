#include "work/compare/controls.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "model/directory.h"

namespace crate {
namespace {

// Where a parameter meets the stream: its rows lie in it (U reads, an atom is a direction), its columns do (W writes),
// or it is a vector there. Metrics lie within a subspace and do not meet it.
enum class Side : uint8_t { none, rows, columns };

struct Place {
  Side side = Side::none;
  uint64_t address = 0;  // of the half's rotation
};

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return name.ends_with(end); });
}

Place place_of(const std::string& name, const Array& value) {
  if (!name.starts_with("blocks.")) return {};
  const uint64_t layer = std::strtoull(name.c_str() + 7, nullptr, 10);
  const bool first = ends_with_any(name, {".mssa.u", ".mssa.w", ".mssa.w_bias", ".mha.qkv", ".mha.w", ".mha.w_bias"});
  const uint64_t address = 2 * layer + (first ? 0 : 1);
  // The square dictionary is stored as the matrix it is, its atoms are columns; the wide one holds an atom a row.
  if (name.ends_with(".ista.dict") && value.shape.at(0) == value.shape.at(1)) return {Side::columns, address};
  if (ends_with_any(name, {".mssa.u", ".mha.qkv", ".ista.dict", ".ista.dict_out", ".mlp.w_in"}))
    return {Side::rows, address};
  if (ends_with_any(name, {".mssa.w", ".mha.w", ".mlp.w_out", ".w_bias", ".b_out"})) return {Side::columns, address};
  return {};
}

double dot(const double* a, const double* b, int64_t n) { return std::inner_product(a, a + n, b, 0.0); }

}  // namespace

// Gram and Schmidt on rows of normal numbers, each freed of the others twice, as once is not enough in floating point.
std::vector<double> random_rotation(int64_t d, uint64_t seed, uint64_t address) {
  const Rng rng(seed, Stream::rotation);
  std::vector<double> q(static_cast<std::size_t>(d * d));
  for (int64_t i = 0; i < d; ++i) {
    double* row = q.data() + i * d;
    for (int64_t j = 0; j < d; ++j) row[j] = rng.normal(address, static_cast<uint64_t>(i * d + j));
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t k = 0; k < i; ++k) {
        const double* other = q.data() + k * d;
        const double along = dot(row, other, d);
        for (int64_t j = 0; j < d; ++j) row[j] -= along * other[j];
      }
    }
    const double length = std::sqrt(dot(row, row, d));
    for (int64_t j = 0; j < d; ++j) row[j] /= length;
  }
  return q;
}

std::vector<float> turned(const std::string& name, const Array& value, int64_t d, uint64_t seed) {
  std::vector<float> x = value.to_f32();
  const Place place = place_of(name, value);
  if (place.side == Side::none) return x;
  const std::vector<double> q = random_rotation(d, seed, place.address);
  // Vectors of the stream lie `stride` numbers apart from element to element, `next` from vector to vector.
  const int64_t count = static_cast<int64_t>(x.size()) / d;
  const int64_t stride = place.side == Side::rows ? 1 : count, next = place.side == Side::rows ? d : 1;
  require(count * d == static_cast<int64_t>(x.size()), "[controls] {} does not lie in a stream of width {}", name, d);
  parallel_for(count, 1, [&](int64_t lo, int64_t hi) {
    std::vector<double> from(static_cast<std::size_t>(d));
    for (int64_t v = lo; v < hi; ++v) {
      for (int64_t j = 0; j < d; ++j)
        from[static_cast<std::size_t>(j)] = x[static_cast<std::size_t>(v * next + j * stride)];
      for (int64_t i = 0; i < d; ++i)
        x[static_cast<std::size_t>(v * next + i * stride)] = static_cast<float>(dot(q.data() + i * d, from.data(), d));
    }
  });
  return x;
}

void turn_model(const std::string& folder, uint64_t seed) {
  const DirectoryReader directory(folder);
  const auto config = nlohmann::json::parse(read_text_file(directory.path("config.json")));
  const int64_t d = config.at("dim").get<int64_t>();
  const SafetensorsFile file = read_safetensors(directory.path("model.safetensors"));
  std::deque<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, array] : file.tensors) {
    values.push_back(turned(name, array, d, seed));
    tensors.push_back({name, FileDtype::f32, array.shape, std::as_bytes(std::span(values.back()))});
  }
  DirectoryWriter writer(folder);
  writer.tensors("model.safetensors", tensors, file.metadata);
  writer.commit();
}

}  // namespace crate
