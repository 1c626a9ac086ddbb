#include "work/compress/error_feedback.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/parallel.h"
#include "run/tap.h"
#include "tensor/gemm.h"

namespace crate {
namespace {

constexpr int64_t most_windows = 64, windows_at_once = 8;
constexpr double damping = 0.01;  // of the mean diagonal

// X' X of what passes the sites that are inputs of matrices.
class InputTap final : public Tap {
 public:
  explicit InputTap(Device& device) : device_(device) {}

  bool wants(std::string_view site) override {
    return site == "head.in" || site.ends_with("norm1.out") || site.ends_with(".heads") ||
           site.ends_with("norm2.out") || site.ends_with("ista.code");
  }
  void see(std::string_view site, const Tensor& value) override {
    const int64_t n = value.cols();
    std::vector<float>& sum = sums_[std::string(site)];
    const bool first = sum.empty();
    sum.resize(static_cast<std::size_t>(n * n));
    const Tensor rows{value.data, {value.rows(), n}, value.dtype};
    gemm(device_, {.a = rows, .b = rows, .c = {sum.data(), {n, n}, Dtype::f32}, .trans_a = true, .add = !first});
  }
  /// Null when nothing passed there.
  const std::vector<float>* at(const std::string& site) const {
    const auto it = sums_.find(site);
    return it == sums_.end() ? nullptr : &it->second;
  }

 private:
  Device& device_;
  std::map<std::string, std::vector<float>> sums_;
};

// Which site a matrix reads: its columns are the site's numbers, or its rows where it writes (V of y = V' z).
struct Reads {
  std::string site;
  bool rows = false;
};

Reads input_of(const std::string& name) {
  const std::size_t cut = name.find('.', name.find('.') + 1) + 1;
  const std::string block = name.substr(0, cut);
  if (name == "embed.tokens" || name == "head.weight") return {"head.in"};
  if (name.ends_with(".u") || name.ends_with(".qkv")) return {block + "norm1.out"};
  if (name.ends_with("mssa.w")) return {block + "mssa.heads"};
  if (name.ends_with("mha.w")) return {block + "mha.heads"};
  if (name.ends_with("ista.dict") || name.ends_with("mlp.w_in")) return {block + "norm2.out"};
  if (name.ends_with("ista.dict_out")) return {block + "ista.code", true};
  return {};
}

// Rounds the numbers of q, whose scales stand, with the errors of `w` fed back along the inputs.
void feed_back(std::vector<double> w, bool rows_are_inputs, const std::vector<double>& u, double most,
               QuantizedMatrix& q) {
  const int64_t inputs = rows_are_inputs ? q.rows : q.cols, outputs = rows_are_inputs ? q.cols : q.rows;
  const int64_t in_step = rows_are_inputs ? q.cols : 1, out_step = rows_are_inputs ? 1 : q.cols;
  parallel_for(outputs, 8, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      for (int64_t j = 0; j < inputs; ++j) {
        const int64_t at = i * out_step + j * in_step;
        const double scale = static_cast<double>(q.scales[static_cast<std::size_t>(at / q.cols)]);
        const double value = w[static_cast<std::size_t>(at)];
        const double level = scale > 0 ? std::clamp(std::round(value / scale), -most, most) : 0;
        q.values[static_cast<std::size_t>(at)] = static_cast<int8_t>(level);
        const double* row = u.data() + j * inputs;
        const double error = (value - level * scale) / row[j];
        for (int64_t k = j + 1; k < inputs; ++k)
          w[static_cast<std::size_t>(i * out_step + k * in_step)] -= error * row[k];
      }
    }
  });
}

// Runs `text` through the model with the tap.
void listen(LanguageModel& model, std::string_view text, InputTap& tap) {
  const int64_t n = model.config().context, windows = static_cast<int64_t>(text.size()) / n;
  require(windows > 0, "[quantize] the text to listen to must hold {} bytes, came {}", n, text.size());
  const int64_t used = std::min(windows, most_windows);
  for (int64_t first = 0; first < used; first += windows_at_once) {
    const int64_t rows = std::min(windows_at_once, used - first);
    std::vector<int32_t> tokens;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t from = (first + r) * windows / used * n;
      for (int64_t i = from; i < from + n; ++i)
        tokens.push_back(static_cast<uint8_t>(text[static_cast<std::size_t>(i)]));
    }
    Run run(model.device(), {.tap = &tap});
    model.hidden(run, {tokens.data(), {rows, n}, Dtype::i32});
  }
}

std::vector<double> with_damping(const std::vector<float>& sums, int64_t n) {
  std::vector<double> h(sums.begin(), sums.end());
  double mean = 0;
  for (int64_t i = 0; i < n; ++i) mean += h[static_cast<std::size_t>(i * n + i)] / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) h[static_cast<std::size_t>(i * n + i)] += damping * mean + 1e-6;
  return h;
}

}  // namespace

std::vector<double> inverse_root(std::vector<double> h, int64_t n) {
  const auto at = [n](std::vector<double>& m, int64_t i, int64_t j) -> double& {
    return m[static_cast<std::size_t>(i * n + j)];
  };
  // H = L L' with L upper (from the last row up): L_jj = sqrt(H_jj - sum_k>j L_jk^2).
  std::vector<double> l(h.size());
  for (int64_t j = n; j-- > 0;) {
    double rest = at(h, j, j);
    for (int64_t k = j + 1; k < n; ++k) rest -= at(l, j, k) * at(l, j, k);
    require(rest > 0, "[quantize] the inputs of a matrix do not span its columns");
    at(l, j, j) = std::sqrt(rest);
    for (int64_t i = 0; i < j; ++i) {
      double sum = at(h, i, j);
      for (int64_t k = j + 1; k < n; ++k) sum -= at(l, i, k) * at(l, j, k);
      at(l, i, j) = sum / at(l, j, j);
    }
  }
  // H^-1 = L^-T L^-1 = U'U with U = L^-1, upper like L.
  std::vector<double> u(h.size());
  for (int64_t j = 0; j < n; ++j) {
    at(u, j, j) = 1 / at(l, j, j);
    for (int64_t i = j; i-- > 0;) {
      double sum = 0;
      for (int64_t k = i + 1; k <= j; ++k) sum += at(l, i, k) * at(u, k, j);
      at(u, i, j) = -sum / at(l, i, i);
    }
  }
  return u;
}

QuantizedModel quantize_with_feedback(LanguageModel& model, int bits, std::string_view text) {
  require(model.config().vocab == 256 || model.config().vocab == 257,
          "[quantize] errors are fed back for models that read bytes, this one has {} tokens", model.config().vocab);
  QuantizedModel q = quantize(model, bits);
  InputTap tap(model.device());
  listen(model, text, tap);
  for (auto& [name, matrix] : q.matrices) {
    const Reads reads = input_of(name);
    const int64_t n = reads.rows ? matrix.rows : matrix.cols;
    const std::vector<float>* sums = tap.at(reads.site);
    if (sums == nullptr || static_cast<int64_t>(sums->size()) != n * n) continue;
    const float* from = model.store().at(name).value.as<float>();
    feed_back({from, from + matrix.values.size()}, reads.rows, inverse_root(with_damping(*sums, n), n),
              (1 << (bits - 1)) - 1, matrix);
  }
  return q;
}

}  // namespace crate
