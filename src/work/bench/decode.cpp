// decode: steps timed one by one; thresholds found by walking each layer's to the wanted quantile of its arguments.
#include "work/bench/decode.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "tensor/gemm.h"
#include "work/eval/sparsity.h"

namespace crate {
namespace {

// Of what goes into the last relu of every layer, the number that the wanted share lies above.
class QuantileTap final : public Tap {
 public:
  QuantileTap(int64_t layers, double share) : share_(share), above_(static_cast<std::size_t>(layers)) {}
  bool wants(std::string_view site) override { return site.ends_with(".ista.pre"); }
  void see(std::string_view site, const Tensor& value) override {
    std::size_t layer = 0;
    const std::string_view number = site.substr(std::string_view("blocks.").size());
    std::from_chars(number.data(), number.data() + number.size(), layer);
    const float* x = value.as<float>();
    std::vector<float> all(x, x + value.numel());
    const auto rank = static_cast<std::ptrdiff_t>((1 - share_) * static_cast<double>(all.size() - 1));
    std::nth_element(all.begin(), all.begin() + rank, all.end());
    above_.at(layer) = all[static_cast<std::size_t>(rank)];
  }
  double above(int64_t layer) const { return above_[static_cast<std::size_t>(layer)]; }

 private:
  double share_;
  std::vector<double> above_;
};

double share_of_codes(LanguageModel& model, const Tensor& tokens) {
  SparsityTap tap(model.config().layers);
  Run run(model.device(), {.tap = &tap});
  model.hidden(run, tokens);
  return is_white_box(model.config().family) ? tap.mean() : 0;
}

// A layer's argument falls by about eta for every unit of its threshold; what a layer is given changes with the layers
// before it, so the walk is repeated.
void set_codes(LanguageModel& model, const Tensor& tokens, double share) {
  constexpr int rounds = 24;
  for (int round = 0; round < rounds; ++round) {
    QuantileTap tap(model.config().layers, share);
    Run run(model.device(), {.tap = &tap});
    model.hidden(run, tokens);
    for (int64_t i = 0; i < model.config().layers; ++i) {
      const Tensor lambda = model.store().at(fmt::format("blocks.{}.ista.lambda", i)).value;  // one, or one an atom
      const auto more = static_cast<float>(0.7 * tap.above(i) / model.config().eta_of(i));
      std::for_each_n(lambda.as<float>(), lambda.numel(), [more](float& x) { x += more; });
    }
  }
}

Tensor some_tokens(std::vector<int32_t>& tokens, const ModelConfig& config) {
  const int64_t n = std::min<int64_t>(config.context, 64);
  tokens = random_tokens(n, config.vocab);
  return {tokens.data(), {1, n}, Dtype::i32};
}

}  // namespace

DecodeSpeed decode_speed(LanguageModel& model, const DecodeOptions& options) {
  Device& device = model.device();
  const ModelConfig& config = model.config();
  const int64_t steps = std::min(options.tokens, config.context), b = options.sequences;
  std::vector<int32_t> tokens = random_tokens(steps * b, config.vocab);
  DecodeState state(device, config, b);
  std::vector<double> times;
  double flops = 0, before = 0;
  for (int repeat = 0; repeat <= options.repeats; ++repeat) {
    if (repeat == 1) before = static_cast<double>(weight_bytes_read(device));
    state.clear();
    for (int64_t i = 0; i < steps; ++i) {
      const double ms = ms_of([&] {
        Run run(device);
        model.logits(run, {tokens.data() + i * b, {b, 1}, Dtype::i32}, &state);
        flops += run.forward_cost().flops;
      });
      if (repeat > 0) times.push_back(ms);
    }
  }
  const double counted = static_cast<double>(times.size());
  DecodeSpeed result;
  const double ms = median_of(times);
  flops /= counted + static_cast<double>(steps);
  result.step = {ms, 1e3 * static_cast<double>(b) / ms, 1e-6 * flops / ms};
  result.fastest_ms = *std::min_element(times.begin(), times.end());
  const double rows = 0.5 * static_cast<double>((steps + 1) * b);  // of a cache, in the mean of the steps
  result.bytes = (static_cast<double>(weight_bytes_read(device)) - before) / counted +
                 rows * static_cast<double>(DecodeState::bytes_per_token(config, device.real()));
  std::vector<int32_t> some;
  result.codes = share_of_codes(model, some_tokens(some, config));
  return result;
}

DecodeSpeed bench_decode(const ModelConfig& wanted, const DeviceOptions& device_options, const DecodeOptions& options) {
  ModelConfig config = wanted;
  require(options.codes == 0 || has_wide_code(config.family),
          "--codes sets thresholds of a wide dictionary (crate-lm), which a {} does not have", name_of(config.family));
  if (options.codes > 0) config.learn_lambda = true;
  Device device(device_options);
  LanguageModel model(device, config);
  model.init(1);
  std::vector<int32_t> some;
  if (options.codes > 0) set_codes(model, some_tokens(some, config), options.codes);
  return decode_speed(model, options);
}

}  // namespace crate
