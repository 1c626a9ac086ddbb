#include "work/compress/tune.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "work/train/optimizer.h"

namespace crate {
namespace {

// While it lives, the rounded weights stand in the place of the others.
class Rounded {
 public:
  Rounded(LanguageModel& model, int bits) : model_(model) {
    const QuantizedModel q = quantize(model, bits);
    for (Param& p : model.store().all()) {
      float* to = p.value.as<float>();
      kept_.emplace_back(to, to + p.value.numel());
      if (p.value.shape.rank() == 2)
        write(q.matrix(p.name), to);
      else
        std::copy(q.vector(p.name).begin(), q.vector(p.name).end(), to);
    }
    model.store().values_changed();
  }
  ~Rounded() {
    std::size_t i = 0;
    for (Param& p : model_.store().all()) {
      std::copy(kept_[i].begin(), kept_[i].end(), p.value.as<float>());
      ++i;
    }
    model_.store().values_changed();
  }
  Rounded(const Rounded&) = delete;
  Rounded& operator=(const Rounded&) = delete;

 private:
  static void write(const QuantizedMatrix& m, float* to) {
    for (int64_t i = 0; i < m.rows; ++i)
      for (int64_t j = 0; j < m.cols; ++j) {
        const auto at = static_cast<std::size_t>(i * m.cols + j);
        to[at] = m.scales[static_cast<std::size_t>(i)] * static_cast<float>(m.values[at]);
      }
  }

  LanguageModel& model_;
  std::vector<std::vector<float>> kept_;
};

struct Batch {
  std::vector<int32_t> inputs, targets;
};

// Windows that begin at addressed places; the last target is the byte behind the window.
Batch draw(std::string_view text, int64_t context, int64_t windows, const Rng& rng, int64_t step) {
  Batch out;
  const auto places = static_cast<uint64_t>(static_cast<int64_t>(text.size()) - context);
  for (int64_t w = 0; w < windows; ++w) {
    const std::size_t from = rng.below(places, static_cast<uint64_t>(step), static_cast<uint64_t>(w));
    for (std::size_t i = from; i < from + static_cast<std::size_t>(context); ++i) {
      out.inputs.push_back(static_cast<uint8_t>(text[i]));
      out.targets.push_back(static_cast<uint8_t>(text[i + 1]));
    }
  }
  return out;
}

}  // namespace

QuantizedModel quantize_tuned(LanguageModel& model, int bits, std::string_view text, const TuneOptions& options) {
  const int64_t context = model.config().context;
  require(model.config().vocab == 256 || model.config().vocab == 257,
          "[quantize] tuning needs a model that reads bytes, this one has {} tokens", model.config().vocab);
  require(static_cast<int64_t>(text.size()) > context,
          "[quantize] the text to tune on must hold more than {} bytes, came {}", context, text.size());
  Device& device = model.device();
  require(device.kind() == DeviceKind::cpu, "[quantize] tuning runs in float32, on --device cpu");
  Optimizer optimizer(device, {&model.store()}, {.name = "adamw", .clip = 1});
  model.store().allocate_grads();
  const Rng rng(options.seed, Stream::data);
  for (int64_t step = 0; step < options.steps; ++step) {
    Batch batch = draw(text, context, options.batch, rng, step);
    const Shape shape{options.batch, context};
    model.store().forget_grads();
    double loss = 0;
    {
      const Rounded rounded(model, bits);
      Run run(device, {.record = true, .train = true});
      const CrossEntropy out =
          model.loss(run, {batch.inputs.data(), shape, Dtype::i32}, {batch.targets.data(), shape, Dtype::i32});
      run.backward(out.loss);
      loss = static_cast<double>(out.loss.as<float>()[0]);
    }
    const double along = static_cast<double>(step) / static_cast<double>(options.steps);
    optimizer.update(options.rate * (1 + std::cos(std::numbers::pi * along)) / 2, 0, step);
    model.store().values_changed();
    if (options.progress) options.progress(step, loss);
  }
  return quantize(model, bits);
}

}  // namespace crate
