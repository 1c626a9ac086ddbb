#include "work/bench/bench.h"

#include <algorithm>
#include <vector>

#include "base/resident.h"
#include "base/rng.h"
#include "model/models.h"
#include "work/explain/graph.h"
#include "work/train/optimizer.h"

namespace crate {
namespace {

std::vector<float> random_numbers(int64_t count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  const Rng rng(2, Stream::data);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(rng.uniform(0, i));
  return out;
}

// Begun before a model is made, read once its steps are done.
class MemoryMeter {
 public:
  /// What is in use now, between steps, is the state.
  void state_is_there(Device& device) {
    memory_.state_bytes = static_cast<double>(device.pool().bytes_in_use());
    device.pool().reset_peak();
  }
  TrainingMemory read(Device& device) {
    memory_.peak_bytes = static_cast<double>(device.pool().peak_bytes());
    memory_.resident_bytes = static_cast<double>(resident_bytes().most) - before_;
    return memory_;
  }

 private:
  double before_ = static_cast<double>(resident_bytes().now);
  TrainingMemory memory_;
};

// A batch of nonsense for a model of images, and what is timed on it.
class RandomImages {
 public:
  RandomImages(Model& model, int64_t rows) : model_(model), rows_(rows) {
    const ImageConfig& image = model.config().image;
    pixels_ = random_numbers(rows * image.channels * image.height * image.width);
    targets_ = random_numbers(rows * std::max(image.classes, image.patches()));
  }
  Tensor loss(Run& run) {
    const ImageConfig& image = model_.config().image;
    if (auto* autoencoder = dynamic_cast<MaeModel*>(&model_))
      return autoencoder->forward(run, images(), {targets_.data(), {rows_, image.patches()}, Dtype::f32}).loss;
    return classifier().loss(run, images(), {targets_.data(), {rows_, image.classes}, Dtype::f32}).loss;
  }
  void forward(Run& run) {
    if (is_autoencoder(model_.config().family))
      loss(run);
    else
      classifier().logits(run, images());
  }

 private:
  VisionModel& classifier() { return dynamic_cast<VisionModel&>(model_); }
  Tensor images() {
    const ImageConfig& image = model_.config().image;
    return {pixels_.data(), {rows_, image.channels, image.height, image.width}, Dtype::f32};
  }

  Model& model_;
  int64_t rows_;
  std::vector<float> pixels_, targets_;
};

struct Counted {
  int repeats;
  int64_t items;  // tokens or images a step
};

// Steps of AdamW; `loss` records one forward.
SpeedOf training_speed(Model& model, Device& device, MemoryMeter& memory, Counted counted, auto&& loss) {
  model.store().allocate_grads();
  Optimizer optimizer(device, {&model.store()}, {});
  memory.state_is_there(device);
  int64_t step = 0;
  return speed(counted.repeats, counted.items, [&] {
    double flops = 0;
    {
      model.store().forget_grads();
      Run run(device, {.record = true, .train = true});
      run.backward(loss(run));
      flops = run.forward_cost().flops + run.backward_cost().flops;
    }
    optimizer.update(1e-4, 0.1, step++);
    return flops;
  });
}

}  // namespace

ImageSpeed bench_images(const ModelConfig& config, const DeviceOptions& device_options,
                        const ImageBenchOptions& options) {
  MemoryMeter memory;
  Device device(device_options);
  const auto model = make_model(device, config);
  model->init(1);
  ImageSpeed result;
  for (const int64_t rows : options.part == BenchPart::train ? std::vector<int64_t>{} : options.batches) {
    RandomImages batch(*model, rows);
    result.forward.emplace_back(rows, speed(options.repeats, rows, [&] {
                                  Run run(device);
                                  batch.forward(run);
                                  return run.forward_cost().flops;
                                }));
  }
  if (options.part == BenchPart::forward) return result;
  RandomImages batch(*model, options.train_batch);
  result.train = training_speed(*model, device, memory, {.repeats = options.repeats, .items = options.train_batch},
                                [&](Run& run) { return batch.loss(run); });
  result.memory = memory.read(device);
  return result;
}

// One prediction as `crate explain` has it, in float64, from a model in memory.
SpeedOf explain_speed(const ModelConfig& config, const BenchOptions& options) {
  Device device({.kind = DeviceKind::ref});
  LanguageModel model(device, config);
  model.init(1);
  const LanguageSubject subject(model, random_tokens(std::min(options.explain_tokens, config.context), config.vocab));
  return speed(options.repeats, 1, [&] {
    const Walk walk(subject, {{}});
    const Explanation e = explain(walk, 0);
    const GraphOptions graph;
    graph_of(edges_among(walk, e, units_of(walk, e, options.explain_top)), graph.node_threshold, graph.edge_threshold);
    return 0.0;
  });
}

ModelSpeed bench_model(const ModelConfig& config, const DeviceOptions& device_options, const BenchOptions& options) {
  ModelSpeed result;
  const BenchPart part = options.part;
  if (part == BenchPart::explain) {
    result.explain = explain_speed(config, options);
    return result;
  }
  if (part == BenchPart::decode) {
    DecodeOptions decode = options.decode;
    decode.repeats = options.repeats;
    result.decode = bench_decode(config, device_options, decode);
    return result;
  }
  MemoryMeter memory;
  Device device(device_options);
  LanguageModel model(device, config);
  model.init(1);
  const int64_t count = options.batch * config.context;
  std::vector<int32_t> tokens = random_tokens(count, config.vocab), targets = random_tokens(count, config.vocab);
  const Shape shape{options.batch, config.context};
  const Tensor in{tokens.data(), shape, Dtype::i32}, out{targets.data(), shape, Dtype::i32};
  if (part != BenchPart::forward) {
    result.train = training_speed(model, device, memory, {.repeats = options.repeats, .items = count},
                                  [&](Run& run) { return model.loss(run, in, out).loss; });
    result.memory = memory.read(device);
  }
  if (part == BenchPart::train) return result;
  result.forward = speed(options.repeats, count, [&] {
    Run run(device);
    model.loss(run, in, out);
    return run.forward_cost().flops;
  });
  if (part != BenchPart::all) return result;
  DecodeOptions decode = options.decode;
  decode.repeats = options.repeats;
  result.decode = decode_speed(model, decode);
  result.explain = explain_speed(config, options);
  return result;
}

}  // namespace crate
