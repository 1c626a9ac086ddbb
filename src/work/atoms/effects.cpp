#include "work/atoms/effects.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "tensor/gemm.h"

namespace crate {
namespace {

std::vector<float> values_of(const Tensor& t) {
  std::vector<float> out(static_cast<std::size_t>(t.numel()));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = t.dtype == Dtype::f32 ? t.as<float>()[i] : static_cast<float>(t.as<double>()[i]);
  return out;
}

Tensor matrix(std::vector<float>& values, int64_t rows, int64_t cols) {
  return {values.data(), {rows, cols}, Dtype::f32};
}

// (atoms, d): what each atom writes into the stream.
std::vector<float> read_out(Model& model, int64_t layer) {
  const ModelConfig& c = model.config();
  const std::string at = fmt::format("blocks.{}.", layer);
  const int64_t m = c.n_atoms(), d = c.dim;
  const auto size = static_cast<std::size_t>(m * d);
  std::vector<float> out(size);
  if (has_square_code(c.family)) {
    for (int64_t i = 0; i < m; ++i) out[static_cast<std::size_t>(i * d + i)] = 1;
  } else if (is_white_box(c.family)) {
    out = values_of(
        model.store().at(at + (model.store().has(at + "ista.dict_out") ? "ista.dict_out" : "ista.dict")).value);
  } else {
    const std::vector<float> w = values_of(model.store().at(at + "mlp.w_out").value);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < d; ++j) out[static_cast<std::size_t>(i * d + j)] = w[static_cast<std::size_t>(j * m + i)];
  }
  if (model.store().has(at + "gamma2")) {
    const std::vector<float> gamma = values_of(model.store().at(at + "gamma2").value);
    for (std::size_t i = 0; i < size; ++i) out[i] *= gamma[i % static_cast<std::size_t>(d)];
  }
  return out;
}

// Through the final norm with its mean scale.
void through_norm(Observation& seen, std::vector<float>& rows) {
  Model& model = seen.model();
  if (!model.config().final_norm()) return;
  const std::vector<float> scale = values_of(model.store().at("norm.scale").value);
  const std::size_t d = scale.size();
  const double inverse = seen.mean_inverse_scale();
  for (std::size_t row = 0; row < rows.size(); row += d) {
    double mean = 0;
    for (std::size_t j = 0; j < d; ++j) mean += rows[row + j] / static_cast<double>(d);
    for (std::size_t j = 0; j < d; ++j) rows[row + j] = static_cast<float>((rows[row + j] - mean) * scale[j] * inverse);
  }
}

Effects effects_of(const float* logits, int64_t vocab) {
  Effects out;
  std::vector<int32_t> order(static_cast<std::size_t>(vocab));
  for (std::size_t t = 0; t < order.size(); ++t) order[t] = static_cast<int32_t>(t);
  const auto n = std::min<int64_t>(Effects::listed, vocab);
  const auto up = [&](int32_t a, int32_t b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); };
  const auto down = [&](int32_t a, int32_t b) { return logits[a] < logits[b] || (logits[a] == logits[b] && a < b); };
  std::partial_sort(order.begin(), order.begin() + n, order.end(), up);
  for (int64_t i = 0; i < n; ++i)
    out.raised.emplace_back(order[static_cast<std::size_t>(i)], logits[order[static_cast<std::size_t>(i)]]);
  std::partial_sort(order.begin(), order.begin() + n, order.end(), down);
  for (int64_t i = 0; i < n; ++i)
    out.lowered.emplace_back(order[static_cast<std::size_t>(i)], logits[order[static_cast<std::size_t>(i)]]);
  out.most = out.raised.front().second;
  out.least = out.lowered.front().second;
  out.histogram.resize(Effects::bins);
  const float width = out.most - out.least;
  for (int64_t t = 0; t < vocab; ++t) {
    const float place = width > 0 ? (logits[t] - out.least) / width * Effects::bins : 0;
    ++out.histogram[std::min<std::size_t>(Effects::bins - 1, static_cast<std::size_t>(std::max(0.0F, place)))];
  }
  return out;
}

}  // namespace

bool has_direct_path(const ModelConfig& config) { return !is_white_box(config.family) || config.ista_residual; }

std::vector<Effects> direct_effects(Observation& seen, int64_t layer) {
  Model& model = seen.model();
  const ModelConfig& c = model.config();
  const char* head_name = !is_image(c.family) && c.tied_head ? "embed.tokens" : "head.weight";
  if (!model.store().has(head_name)) return std::vector<Effects>(static_cast<std::size_t>(c.n_atoms()));
  std::vector<float> rows = read_out(model, layer);
  through_norm(seen, rows);
  std::vector<float> head = values_of(model.store().at(head_name).value);
  Device device;
  const auto outputs = static_cast<int64_t>(head.size()) / c.dim;
  const int64_t m = c.n_atoms(), some = 64;
  std::vector<Effects> out(static_cast<std::size_t>(m));
  std::vector<float> logits(static_cast<std::size_t>(some * outputs));
  for (int64_t lo = 0; lo < m; lo += some) {
    const int64_t hi = std::min(m, lo + some);
    gemm(device, {.a = matrix(rows, m, c.dim).row_slice(lo, hi),
                  .b = matrix(head, outputs, c.dim),
                  .c = matrix(logits, hi - lo, outputs),
                  .trans_b = true});
    parallel_for(hi - lo, 4, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i)
        out[static_cast<std::size_t>(lo + i)] =
            effects_of(logits.data() + i * outputs, std::min(outputs, seen.outputs()));
    });
  }
  return out;
}

std::vector<std::vector<std::pair<int32_t, float>>> most_correlated(const SiteStatistics& site) {
  constexpr int64_t listed = 5, some = 256;
  const int64_t m = site.sizes().atoms, rows = site.sizes().sample;
  std::vector<std::vector<std::pair<int32_t, float>>> out(static_cast<std::size_t>(m));
  if (rows == 0) return out;
  // Columns of mean 0 and length 1, as rows; silent atoms stay 0.
  std::vector<float> unit(static_cast<std::size_t>(m * rows));
  parallel_for(m, 16, [&](int64_t lo, int64_t hi) {
    for (int64_t a = lo; a < hi; ++a) {
      float* to = unit.data() + a * rows;
      double mean = 0, square = 0;
      for (int64_t i = 0; i < rows; ++i) mean += to[i] = site.sample()[static_cast<std::size_t>(i * m + a)];
      mean /= static_cast<double>(rows);
      for (int64_t i = 0; i < rows; ++i) square += (to[i] - mean) * (to[i] - mean);
      const double scale = square > 1e-20 ? 1 / std::sqrt(square) : 0;
      for (int64_t i = 0; i < rows; ++i) to[i] = static_cast<float>((to[i] - mean) * scale);
    }
  });
  Device device;
  std::vector<float> products(static_cast<std::size_t>(some * m));
  for (int64_t lo = 0; lo < m; lo += some) {
    const int64_t hi = std::min(m, lo + some);
    gemm(device, {.a = matrix(unit, m, rows).row_slice(lo, hi),
                  .b = matrix(unit, m, rows),
                  .c = matrix(products, hi - lo, m),
                  .trans_b = true});
    parallel_for(hi - lo, 4, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const float* r = products.data() + i * m;
        std::vector<int32_t> order;
        for (int64_t b = 0; b < m; ++b)
          if (b != lo + i && r[b] > 0.01F) order.push_back(static_cast<int32_t>(b));
        const auto n = std::min<int64_t>(listed, static_cast<int64_t>(order.size()));
        std::partial_sort(order.begin(), order.begin() + n, order.end(),
                          [r](int32_t a, int32_t b) { return r[a] > r[b] || (r[a] == r[b] && a < b); });
        for (int64_t k = 0; k < n; ++k)
          out[static_cast<std::size_t>(lo + i)].emplace_back(order[static_cast<std::size_t>(k)],
                                                             r[order[static_cast<std::size_t>(k)]]);
      }
    });
  }
  return out;
}

}  // namespace crate
