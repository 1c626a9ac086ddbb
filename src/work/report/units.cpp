#include "work/report/units.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "work/explain/numbers.h"

namespace crate {
namespace {

double dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

}  // namespace

std::string unit_site(const ModelConfig& config, int64_t layer) {
  return fmt::format("blocks.{}.{}", layer, is_white_box(config.family) ? "ista.code" : "mlp.hidden");
}

int64_t unit_count(const ModelConfig& config) { return config.n_atoms(); }

Directions Directions::axes(int64_t width, int64_t count, uint64_t seed) {
  Directions out;
  out.width_ = width;
  out.count_ = std::min(count, width);
  std::vector<int32_t> all(static_cast<std::size_t>(width));
  std::iota(all.begin(), all.end(), 0);
  const Rng rng(seed, Stream::sample);
  if (out.count_ < width) {
    for (int64_t i = 0; i < out.count_; ++i) {  // the first places of a Fisher-Yates shuffle
      const auto j = static_cast<int64_t>(rng.below(static_cast<uint64_t>(width - i), 11, static_cast<uint64_t>(i)));
      std::swap(all[static_cast<std::size_t>(i)], all[static_cast<std::size_t>(i + j)]);
    }
    all.resize(static_cast<std::size_t>(out.count_));
    std::sort(all.begin(), all.end());
  }
  out.axes_ = std::move(all);
  return out;
}

Directions Directions::rotated(int64_t width, int64_t count, uint64_t seed) {
  Directions out;
  out.width_ = width;
  out.count_ = std::min(count, width);
  out.rows_.resize(static_cast<std::size_t>(out.count_ * width));
  const Rng rng(seed, Stream::sample);
  for (int64_t i = 0; i < out.count_; ++i) {
    float* row = out.rows_.data() + i * width;
    for (int64_t j = 0; j < width; ++j)
      row[j] = static_cast<float>(rng.normal(12, static_cast<uint64_t>(i * width + j)));
    for (int pass = 0; pass < 2; ++pass) {  // twice is enough (Kahan and Parlett)
      std::vector<double> with(static_cast<std::size_t>(i));
      parallel_for(i, 16, [&](int64_t lo, int64_t hi) {
        for (int64_t k = lo; k < hi; ++k)
          with[static_cast<std::size_t>(k)] = dot(row, out.rows_.data() + k * width, width);
      });
      for (int64_t k = 0; k < i; ++k) {
        const float* other = out.rows_.data() + k * width;
        const auto c = static_cast<float>(with[static_cast<std::size_t>(k)]);
        for (int64_t j = 0; j < width; ++j) row[j] -= c * other[j];
      }
    }
    const double length = std::sqrt(dot(row, row, width));
    for (int64_t j = 0; j < width; ++j) row[j] = static_cast<float>(row[j] / length);
  }
  return out;
}

void Directions::read(const float* code, int64_t rows, float* values, int64_t stride) const {
  parallel_for(rows, 8, [&](int64_t lo, int64_t hi) {
    for (int64_t r = lo; r < hi; ++r) {
      const float* h = code + r * width_;
      for (int64_t i = 0; i < count_; ++i) {
        float value = 0;
        if (axes_.empty()) {
          const float* q = rows_.data() + i * width_;
#pragma omp simd reduction(+ : value)
          for (int64_t j = 0; j < width_; ++j) value += q[j] * h[j];
        } else {
          value = h[axes_[static_cast<std::size_t>(i)]];
        }
        values[r * stride + i] = std::max(0.0F, value);
      }
      std::fill(values + r * stride + count_, values + (r + 1) * stride, 0.0F);
    }
  });
}

std::vector<float> Directions::vector(int64_t i) const {
  if (axes_.empty()) return {rows_.begin() + i * width_, rows_.begin() + (i + 1) * width_};
  std::vector<float> out(static_cast<std::size_t>(width_));
  out[static_cast<std::size_t>(unit(i))] = 1;
  return out;
}

UnitTap::UnitTap(const ModelConfig& config, std::function<void(int64_t, const Tensor&)> take) : take_(std::move(take)) {
  for (int64_t i = 0; i < config.layers; ++i) sites_.push_back(unit_site(config, i));
}

int64_t UnitTap::layer_of(std::string_view site) const {
  const auto it = std::find(sites_.begin(), sites_.end(), site);
  return it == sites_.end() ? -1 : it - sites_.begin();
}

void DirectionTap::edit(std::string_view, const Tensor& value) {
  const int64_t width = value.cols();
  require(width == static_cast<int64_t>(direction_.size()), "[report] a direction of {} numbers at a site of {}",
          direction_.size(), width);
  auto* h = value.as<float>();
  const float* q = direction_.data();
  parallel_for(value.rows(), 8, [&](int64_t lo, int64_t hi) {
    for (int64_t r = lo; r < hi; ++r) {
      float* row = h + r * width;
      const double held = remove_ ? -std::max(0.0, dot(row, q, width)) : 0;
      const auto change = static_cast<float>(held + add_);
      if (change == 0) continue;
      for (int64_t j = 0; j < width; ++j) row[j] += change * q[j];
    }
  });
}

std::vector<double> written_by(LanguageModel& model, int64_t layer, const std::vector<float>& direction) {
  const ModelConfig& c = model.config();
  const std::string block = fmt::format("blocks.{}.", layer);
  const bool white = is_white_box(c.family);
  const std::string untied = block + "ista.dict_out";
  const std::string name = !white ? block + "mlp.w_out" : model.store().has(untied) ? untied : block + "ista.dict";
  const Tensor& w = model.store().at(name).value;
  const auto m = static_cast<int64_t>(direction.size()), d = c.dim;
  const bool columns = !white || c.family == Family::crate_gpt;  // (d, m), else (m, d)
  std::vector<double> out(static_cast<std::size_t>(d));
  for (int64_t j = 0; j < m; ++j) {
    const double q = direction[static_cast<std::size_t>(j)];
    if (q == 0) continue;
    for (int64_t i = 0; i < d; ++i)
      out[static_cast<std::size_t>(i)] += q * number_at(w, columns ? i * m + j : j * d + i);
  }
  return out;
}

}  // namespace crate
