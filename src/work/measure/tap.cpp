#include "work/measure/tap.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/dense.h"
#include "base/error.h"
#include "base/parallel.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "tensor/gemm.h"
#include "work/measure/numbers.h"
#include "work/measure/rate.h"

namespace crate {
namespace {

// Layer and inner name of "blocks.{layer}.{name}"; layer -1 for other sites.
struct Place {
  int64_t layer = -1;
  std::string_view name;
};

Place place_of(std::string_view site) {
  constexpr std::string_view prefix = "blocks.";
  Place out;
  if (!site.starts_with(prefix)) return out;
  const char *begin = site.data() + prefix.size(), *end = site.data() + site.size();
  const auto [rest, error] = std::from_chars(begin, end, out.layer);
  if (error != std::errc{} || rest == end || *rest != '.') return {};
  out.name = site.substr(static_cast<std::size_t>(rest + 1 - site.data()));
  return out;
}

bool is_code(std::string_view name) { return name == "ista.code" || name == "mlp.hidden"; }
bool is_stream(std::string_view name) { return name == "z_pre" || name == "z_mid" || name == "z_post"; }

// Calls f(sample) for each; samples are independent of one another.
template <class F> void each_sample(int64_t samples, F&& f) {
  parallel_chunks(samples, 1, [&](int64_t, int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) f(i);
  });
}

}  // namespace

MeasureTap::MeasureTap(Device& device, ParameterStore& store, const ModelConfig& config, double squared_precision)
    : device_(device),
      store_(store),
      config_(config),
      squared_precision_(squared_precision),
      layers_(static_cast<std::size_t>(config.layers)) {
  require(squared_precision > 0, "[measure] the squared precision must be above 0, came {}", squared_precision);
}

std::string MeasureTap::block(int64_t layer) const { return fmt::format("blocks.{}.", layer); }

bool MeasureTap::wants(std::string_view site) {
  const auto [layer, name] = place_of(site);
  return layer >= 0 && layer < config_.layers &&
         (is_stream(name) || is_code(name) || (name == "norm2.out" && is_white_box(config_.family)));
}

void MeasureTap::see(std::string_view site, const Tensor& value) {
  if (!wants(site)) return;
  const auto [layer, name] = place_of(site);
  Layer& at = layers_[static_cast<std::size_t>(layer)];
  if (is_stream(name)) {
    Rates& rates = name == "z_pre" ? at.measure.pre : name == "z_mid" ? at.measure.mid : at.measure.post;
    measure_stream(layer, rates, name, value);
    if (layer == 0 && name == "z_pre") {
      samples_ += value.shape[0];
      tokens_ += value.rows();
    }
  } else if (is_code(name)) {
    measure_code(layer, value);
  } else {
    at.code_input.resize(value.bytes());
    std::memcpy(at.code_input.data(), value.data, value.bytes());
    at.input = {at.code_input.data(), value.shape, value.dtype};
  }
}

// U as (heads p, d): the one projection of mssa, the keys' third of mha.
Tensor MeasureTap::bases(int64_t layer) {
  if (is_white_box(config_.family)) return store_.at(block(layer) + "mssa.u").value;
  const Tensor qkv = store_.at(block(layer) + "mha.qkv").value;
  return qkv.row_slice(qkv.rows() / 3, 2 * qkv.rows() / 3);
}

std::vector<double> MeasureTap::coords_of(Run& run, int64_t layer, const Tensor& z, bool normed) {
  const std::string norm = block(layer) + "norm1";
  Tensor x = z;
  if (normed) {
    x = layer_norm(run, z,
                   {.scale = run.param(store_.at(norm + ".scale")),
                    .shift = store_.has(norm + ".shift") ? run.param(store_.at(norm + ".shift")) : Tensor{},
                    .eps = config_.norm_eps});
  }
  const Tensor u = bases(layer), coords = run.make({z.shape[0], z.shape[1], u.rows()});
  gemm(device_, {.a = x, .b = u, .c = coords, .trans_b = true});
  return doubles_of(coords);
}

void MeasureTap::measure_stream(int64_t layer, Rates& rates, std::string_view place, const Tensor& z) {
  Run run(device_);
  const std::vector<double> tokens = doubles_of(z), raw = coords_of(run, layer, z, false),
                            normed = coords_of(run, layer, z, true);
  const int64_t samples = z.shape[0], n = z.shape[1], d = z.cols(), width = bases(layer).rows(), heads = config_.heads,
                p = width / heads;
  Layer& at = layers_[static_cast<std::size_t>(layer)];
  const bool first = place == "z_pre";
  struct Values {
    double rate, rate_unit, rate_c, rate_c_unit;
    std::vector<double> moments;
  };
  std::vector<Values> values(static_cast<std::size_t>(samples));
  each_sample(samples, [&](int64_t i) {
    Values& v = values[static_cast<std::size_t>(i)];
    if (first) v.moments.assign(static_cast<std::size_t>(heads * p * p), 0.0);
    const RowsOf<double> z_i{&tokens[i * n * d], n, d, d}, raw_i{&raw[i * n * width], n, width, width},
        normed_i{&normed[i * n * width], n, width, width};
    v.rate = rate_of(z_i, squared_precision_, false);
    v.rate_unit = rate_of(z_i, squared_precision_, true);
    v.rate_c = compressed_rate_of(raw_i, heads, squared_precision_, false);
    v.rate_c_unit = compressed_rate_of(normed_i, heads, squared_precision_, true);
    if (first) add_moments(normed_i, heads, v.moments);
  });
  if (first) {
    at.rate_c.clear();
    at.moments.resize(static_cast<std::size_t>(heads * p * p));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Values& v = values[i];
    rates.rate.add(v.rate);
    rates.rate_unit.add(v.rate_unit);
    rates.rate_c.add(v.rate_c);
    rates.rate_c_unit.add(v.rate_c_unit);
    if (first) at.rate_c.push_back(v.rate_c_unit);
    for (std::size_t j = 0; j < v.moments.size(); ++j) at.moments[j] += v.moments[j];
    if (place == "z_mid") at.measure.rate_c_step.add(v.rate_c_unit - at.rate_c[i]);
  }
}

void MeasureTap::measure_code(int64_t layer, const Tensor& code) {
  measure_nonzero(layer, code);
  if (is_white_box(config_.family)) measure_objective(layer, code);
}

void MeasureTap::measure_nonzero(int64_t layer, const Tensor& code) {
  const int64_t samples = code.shape[0], each = code.numel() / samples;
  const std::vector<double> numbers = doubles_of(code);
  for (int64_t i = 0; i < samples; ++i) {
    const auto begin = numbers.begin() + i * each;
    const auto zeros = std::count(begin, begin + each, 0.0);
    layers_[static_cast<std::size_t>(layer)].measure.nonzero.add(1 - static_cast<double>(zeros) /
                                                                         static_cast<double>(each));
  }
}

// 1/2 |v - D z|^2 + lambda |z|_1 a token: at the start of the half, which is v itself for the square dictionary and 0
// for the wide one, and at the code.
void MeasureTap::measure_objective(int64_t layer, const Tensor& code) {
  Layer& at = layers_[static_cast<std::size_t>(layer)];
  Run run(device_);
  const Tensor dict = store_.at(block(layer) + "ista.dict").value, v = at.input;
  const bool square = has_square_code(config_.family);
  const auto synthesis = [&](const Tensor& z) {  // D z in rows: z D', or z W for atoms in rows
    const Tensor out = run.make(v.shape);
    gemm(device_, {.a = z, .b = dict, .c = out, .trans_b = square});
    return doubles_of(out);
  };
  const std::string learned = block(layer) + "ista.lambda";
  const std::vector<double> lambda =
      store_.has(learned) ? doubles_of(store_.at(learned).value) : std::vector<double>{config_.lambda_of(layer)};
  const std::vector<double> input = doubles_of(v), z = doubles_of(code), after_fit = synthesis(code);
  const std::vector<double> before_fit = square ? synthesis(v) : std::vector<double>(input.size());
  const int64_t d = v.cols(), m = code.cols(), samples = code.shape[0], n = code.rows() / samples;
  const auto objective = [&](int64_t row, const std::vector<double>& fit, const double* start) {
    double squares = 0, sparsity = 0;
    for (int64_t j = row * d; j < (row + 1) * d; ++j) squares += (input[j] - fit[j]) * (input[j] - fit[j]);
    for (int64_t j = 0; start && j < m; ++j) sparsity += lambda[lambda.size() > 1 ? j : 0] * std::abs(start[j]);
    return 0.5 * squares + sparsity;
  };
  auto &before = at.measure.objective_before, &after = at.measure.objective_after, &step = at.measure.objective_step;
  if (!before) before = after = step = Spread{};
  for (int64_t i = 0; i < samples; ++i) {
    double sum_before = 0, sum_after = 0;
    for (int64_t row = i * n; row < (i + 1) * n; ++row) {
      const double a = objective(row, before_fit, square ? &input[row * d] : nullptr);
      const double b = objective(row, after_fit, &z[row * m]);
      sum_before += a;
      sum_after += b;
      at.fell += b < a ? 1 : 0;
    }
    const auto tokens = static_cast<double>(n);
    before->add(sum_before / tokens);
    after->add(sum_after / tokens);
    step->add((sum_after - sum_before) / tokens);
  }
  at.rows += static_cast<double>(samples * n);
}

Measurement MeasureTap::result() {
  require(samples_ > 0, "[measure] no sample was seen");
  Measurement out;
  out.family = name_of(config_.family);
  out.squared_precision = squared_precision_;
  out.samples = samples_;
  out.tokens = tokens_;
  out.dim = config_.dim;
  out.heads = config_.heads;
  out.head_dim = bases(0).rows() / config_.heads;
  for (int64_t i = 0; i < config_.layers; ++i) {
    const Layer& at = layers_[static_cast<std::size_t>(i)];
    LayerMeasure layer = at.measure;
    layer.objective_fell = at.rows > 0 ? at.fell / at.rows : 0;
    const std::string output = block(i) + "mssa.w";
    const std::vector<double> w = store_.has(output) ? doubles_of(store_.at(output).value) : std::vector<double>{};
    layer.bases = measure_bases(doubles_of(bases(i)), w.empty() ? nullptr : &w, config_.heads, config_.dim);
    for (int64_t h = 0; h < out.heads; ++h) {
      const auto begin = at.moments.begin() + h * out.head_dim * out.head_dim;
      std::vector<double> mean(begin, begin + out.head_dim * out.head_dim);
      for (double& x : mean) x /= static_cast<double>(samples_);
      layer.coords_spectrum.push_back(symmetric_eigen(std::move(mean), out.head_dim).values);
      layer.coords_rank.push_back(rank_of(layer.coords_spectrum.back(), 1e-6));
      layer.coords_effective_rank.push_back(effective_rank(layer.coords_spectrum.back()));
    }
    out.layers.push_back(std::move(layer));
  }
  return out;
}

}  // namespace crate
