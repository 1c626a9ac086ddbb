#include "work/compress/quantized.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "tensor/vector.h"

namespace crate {
namespace {

CRATE_CLONES bool all_finite(const float* x, int64_t n) {
  uint32_t bad = 0;
#pragma omp simd reduction(| : bad)
  for (int64_t i = 0; i < n; ++i) bad |= (std::bit_cast<uint32_t>(x[i]) & 0x7F800000) == 0x7F800000 ? 1U : 0U;
  return bad == 0;
}

std::vector<float> floats_of(const Param& p) {
  const int64_t n = p.value.numel();
  std::vector<float> out(static_cast<std::size_t>(n));
  if (p.value.dtype == Dtype::f32)
    std::copy_n(p.value.as<float>(), n, out.begin());
  else
    std::copy_n(p.value.as<double>(), n, out.begin());
  require(all_finite(out.data(), n),
          "the weights of {} hold numbers that are not finite; such a model cannot be quantized", p.name);
  return out;
}

// The next number of at least x > 0 that the upper half of a float can hold.
float short_scale(float x) { return std::bit_cast<float>((std::bit_cast<uint32_t>(x) + 0xFFFF) & 0xFFFF0000); }

// The nearest number that the upper three bytes of a float can hold.
float short_float(float x) { return std::bit_cast<float>((std::bit_cast<uint32_t>(x) + 0x80) & 0xFFFFFF00); }

// The nearest of the whole numbers -most .. most, most < 128, halves away from zero.
float level_of(float w, float scale, float most) {
  const float x = std::min(std::max(w / scale, -most), most);
  return static_cast<float>(static_cast<int32_t>(x + (x < 0 ? -0.5F : 0.5F)));
}

CRATE_CLONES void levels_of(const float* row, float scale, float most, int8_t* to, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) to[j] = static_cast<int8_t>(level_of(row[j], scale, most));
}

CRATE_CLONES float largest_of(const float* row, int64_t n) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t j = 0; j < n; ++j) largest = std::max(largest, std::fabs(row[j]));
  return largest;
}

// The scale that loses least: the one that fits the largest number, or a smaller one that cuts it off.
float best_scale(const float* row, int64_t n, float most) {
  const float largest = largest_of(row, n);
  float best = short_scale(largest / most);
  double least = INFINITY;
  const int tries = most < 100 && largest > 0 ? 25 : 0;  // of 8 bits none is worth cutting off
  for (int step = 0; step < tries; ++step) {
    const float scale = short_scale(largest / most * (1 - 0.025F * static_cast<float>(step)));
    double lost = 0;
    for (int64_t j = 0; j < n; ++j) {
      const double off = static_cast<double>(row[j]) - static_cast<double>(scale * level_of(row[j], scale, most));
      lost += off * off;
    }
    if (lost >= least) continue;
    least = lost;
    best = scale;
  }
  return best;
}

QuantizedMatrix rounded(const std::vector<float>& w, int64_t rows, int64_t cols, int bits) {
  const float most = static_cast<float>((1 << (bits - 1)) - 1);
  QuantizedMatrix m{rows, cols, std::vector<int8_t>(w.size()), std::vector<float>(static_cast<std::size_t>(rows))};
  parallel_for(rows, 16, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      const float* row = w.data() + i * cols;
      const float scale = best_scale(row, cols, most);
      m.scales[static_cast<std::size_t>(i)] = scale;
      if (scale > 0) levels_of(row, scale, most, m.values.data() + i * cols, cols);
    }
  });
  return m;
}

}  // namespace

const QuantizedMatrix& QuantizedModel::matrix(const std::string& name) const {
  const auto it = matrices.find(name);
  require(it != matrices.end(), "[codec] the model has no matrix {}", name);
  return it->second;
}

const std::vector<float>& QuantizedModel::vector(const std::string& name) const {
  const auto it = vectors.find(name);
  require(it != vectors.end(), "[codec] the model has no vector {}", name);
  return it->second;
}

QuantizedModel quantize(const LanguageModel& model, int bits) {
  require(bits >= 2 && bits <= 8, "[quantize] bits must be 2 to 8, came {}", bits);
  QuantizedModel q{model.config(), bits, {}, {}};
  for (const Param& p : model.store().all()) {
    if (p.value.shape.rank() == 2)
      q.matrices[p.name] = rounded(floats_of(p), p.value.rows(), p.value.cols(), bits);
    else
      for (const float v : floats_of(p)) q.vectors[p.name].push_back(short_float(v));
  }
  return q;
}

}  // namespace crate
