#include "work/eval/linear_probe.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/rng.h"
#include "model/store.h"
#include "ops/class_loss.h"
#include "ops/linear.h"
#include "ops/optimiser.h"

namespace crate {
namespace {

// (x - mean) / deviation of every channel; channels that never change become 0.
void standardise(const std::vector<double>& mean, const std::vector<double>& deviation, Features& f) {
  for (int64_t i = 0; i < f.images; ++i) {
    float* row = f.values.data() + i * f.width;
    for (std::size_t j = 0; j < mean.size(); ++j)
      row[j] = static_cast<float>(deviation[j] > 1e-9 ? (double{row[j]} - mean[j]) / deviation[j] : 0);
  }
}

void standardise_both(Features& train, Features& val) {
  const auto width = static_cast<std::size_t>(train.width);
  const auto n = static_cast<double>(train.images);
  std::vector<double> mean(width), deviation(width);
  for (int64_t i = 0; i < train.images; ++i)
    for (std::size_t j = 0; j < width; ++j) mean[j] += double{train.row(i)[j]} / n;
  for (int64_t i = 0; i < train.images; ++i)
    for (std::size_t j = 0; j < width; ++j) deviation[j] += std::pow(double{train.row(i)[j]} - mean[j], 2) / n;
  for (double& d : deviation) d = std::sqrt(d);
  standardise(mean, deviation, train);
  standardise(mean, deviation, val);
}

class Probe {
 public:
  Probe(const Features& train, const ProbeOptions& options) : train_(train), options_(options), store_(device_) {
    weight_ = &store_.add("weight", {train.classes, train.width});
    bias_ = &store_.add("bias", {train.classes});
    store_.allocate_grads();
    for (Param* p : {weight_, bias_}) {
      set_zero(device_, p->value);
      for (int i = 0; i < 2; ++i) {
        moments_.push_back(device_.allocate(p->value.shape));
        set_zero(device_, moments_.back());
      }
    }
  }
  ~Probe() {
    for (const Tensor& t : moments_) device_.pool().release(t.data);
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // Gives the mean loss of the last epoch.
  double learn() {
    const int64_t batch = std::min(options_.batch, train_.images), steps = train_.images / batch;
    std::vector<int64_t> order(static_cast<std::size_t>(train_.images));
    double sum = 0;
    for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
      shuffle(order, epoch);
      sum = 0;
      for (int64_t s = 0; s < steps; ++s) {
        const auto now = static_cast<double>(epoch * steps + s), all = static_cast<double>(options_.epochs * steps);
        const double lr = options_.lr * 0.5 * (1 + std::cos(std::numbers::pi * now / all));
        sum += step(order.data() + s * batch, batch, lr, epoch * steps + s + 1);
      }
    }
    return sum / static_cast<double>(steps);
  }

  // Loss and accuracy on other features.
  ProbeResult measure(const Features& val) {
    ProbeResult out;
    out.val.images = val.images;
    std::vector<int64_t> row(1);
    for (int64_t i = 0; i < val.images; ++i) {
      row[0] = i;
      Run run(device_);
      const ClassLoss loss = loss_of(run, val, row.data(), 1);
      const float* logits = loss.logits.as<float>();
      const auto label = val.labels[static_cast<std::size_t>(i)];
      int64_t rank = 0;
      for (int32_t c = 0; c < static_cast<int32_t>(val.classes); ++c)
        rank += logits[c] > logits[label] || (logits[c] == logits[label] && c < label) ? 1 : 0;
      out.val_loss += double{loss.loss.as<float>()[0]} / static_cast<double>(val.images);
      out.val.top1 += rank < 1 ? 1 : 0;
      out.val.top5 += rank < 5 ? 1 : 0;
    }
    out.val.top1 /= static_cast<double>(val.images);
    out.val.top5 /= static_cast<double>(val.images);
    return out;
  }

 private:
  void shuffle(std::vector<int64_t>& order, int64_t epoch) const {
    const Rng rng(options_.seed, Stream::sample);
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
    for (std::size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[rng.below(i, static_cast<uint64_t>(epoch), i)]);
  }

  ClassLoss loss_of(Run& run, const Features& f, const int64_t* rows, int64_t n) {
    x_.resize(static_cast<std::size_t>(n * f.width));
    targets_.assign(static_cast<std::size_t>(n * f.classes), 0.0F);
    for (int64_t r = 0; r < n; ++r) {
      std::copy_n(f.row(rows[r]), f.width, x_.data() + r * f.width);
      targets_[static_cast<std::size_t>(r * f.classes + f.labels[static_cast<std::size_t>(rows[r])])] = 1;
    }
    const Tensor x{x_.data(), {n, f.width}, Dtype::f32};
    const Tensor logits = linear(run, x, {run.param(*weight_), run.param(*bias_)});
    return class_loss(run, logits, {{targets_.data(), {n, f.classes}, Dtype::f32}});
  }

  double step(const int64_t* rows, int64_t n, double lr, int64_t number) {
    store_.forget_grads();
    Run run(device_, {.record = true});
    const ClassLoss loss = loss_of(run, train_, rows, n);
    run.backward(loss.loss);
    std::size_t i = 0;
    for (Param* p : {weight_, bias_}) {
      adamw_step(device_, {p->value, p->grad, moments_[i], moments_[i + 1]},
                 {.lr = lr, .decay = p == weight_ ? options_.weight_decay : 0, .step = number});
      i += 2;
    }
    store_.values_changed();
    return loss.loss.as<float>()[0];
  }

  Device device_;
  const Features& train_;
  const ProbeOptions& options_;
  ParameterStore store_;
  Param *weight_, *bias_;
  std::vector<Tensor> moments_;
  std::vector<float> x_, targets_;
};

}  // namespace

ProbeResult linear_probe(Features train, Features val, const ProbeOptions& options) {
  require(train.classes == val.classes && train.width == val.width,
          "the training images have {} classes, those to evaluate {}", train.classes, val.classes);
  standardise_both(train, val);
  Probe probe(train, options);
  const double loss = probe.learn();
  ProbeResult out = probe.measure(val);
  out.train_loss = loss;
  return out;
}

}  // namespace crate
