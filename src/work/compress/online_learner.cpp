#include "work/compress/online_learner.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "model/parameters.h"
#include "work/compress/bytes.h"
#include "work/train/average.h"
#include "work/train/optimizer.h"

namespace crate {
namespace {

struct Field {
  const char* name;
  int64_t LearningOptions::*at;
  int64_t least, most;
};

constexpr Field fields[] = {
    {"dim", &LearningOptions::dim, 8, 1024},         {"heads", &LearningOptions::heads, 1, 64},
    {"layers", &LearningOptions::layers, 1, 32},     {"context", &LearningOptions::context, 8, 1024},
    {"streams", &LearningOptions::streams, 1, 256},  {"chunk", &LearningOptions::chunk, 1, 1024},
    {"every", &LearningOptions::every, 1, 1 << 20},  {"batch", &LearningOptions::batch, 1, 1024},
    {"replay", &LearningOptions::replay, 0, 100},    {"steps", &LearningOptions::steps, 0, 64},
    {"rate", &LearningOptions::rate, 1, 1000000},    {"slowing", &LearningOptions::slowing, 1, 1 << 30},
    {"average", &LearningOptions::average, 1, 9999}, {"seed", &LearningOptions::seed, 0, 1 << 30}};

// The block crate-one with as many numbers as a twin of its width.
ModelConfig config_of(const LearningOptions& o) {
  ModelConfig c;
  choose_crate_one(c);
  c.dim = o.dim;
  c.heads = o.heads;
  c.head_width = std::max<int64_t>(2, o.dim / o.heads / 2 * 2);
  c.atoms = 5 * o.dim - c.head_width;
  c.layers = o.layers;
  c.context = o.context;
  c.vocab = 257;
  return c;
}

std::vector<float> floats_of(const QuantizedMatrix& m) {
  std::vector<float> out;
  for (int64_t i = 0; i < m.rows; ++i)
    for (int64_t j = 0; j < m.cols; ++j)
      out.push_back(m.scales[static_cast<std::size_t>(i)] * m.values[static_cast<std::size_t>(i * m.cols + j)]);
  return out;
}

constexpr int64_t warmup = 30;  // steps
constexpr int64_t most_numbers = 1 << 24, most_tokens = 1 << 16;

}  // namespace

void LearningOptions::validate() const { validate(config_of(*this)); }

void LearningOptions::validate(const ModelConfig& config) const {
  for (const Field& f : fields)
    require(this->*f.at >= f.least && this->*f.at <= f.most, "[online] {} must be {} to {}, came {}", f.name, f.least,
            f.most, this->*f.at);
  require(context == config.context, "[online] context must be the model's, {}, came {}", config.context, context);
  require(chunk <= context, "[online] chunk must be at most the context of {}, came {}", context, chunk);
  config.validate();
  // An archive may ask for anything; what it gets stays below a few gigabytes.
  const int64_t numbers = count_parameters(config).all;
  require(numbers <= most_numbers && batch * context <= most_tokens,
          "[online] at most {} numbers and {} tokens a step, came {} and {}", most_numbers, most_tokens, numbers,
          batch * context);
}

LearningOptions learning_on(const QuantizedModel& prior) {
  LearningOptions options;
  options.context = prior.config.context;
  options.chunk = std::min<int64_t>(64, options.context);
  options.every = 256;
  options.replay = 0;
  options.rate = 200;
  return options;
}

std::string pack_learning(const LearningOptions& options) {
  std::string out;
  for (const Field& f : fields) put_varint(out, static_cast<uint64_t>(options.*f.at));
  return out;
}

LearningOptions unpack_learning(std::string_view bytes, const std::string& where) {
  LearningOptions options;
  ByteReader in(bytes, where);
  for (const Field& f : fields) options.*f.at = static_cast<int64_t>(in.varint(static_cast<uint64_t>(f.most)));
  require(in.rest().empty(), "{} is damaged: its learning has more numbers than this program knows", where);
  return options;
}

void set_learning(LearningOptions& options, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  std::string names;
  for (const Field& f : fields) {
    names += names.empty() ? f.name : fmt::format(", {}", f.name);
    if (equals == std::string_view::npos || assignment.substr(0, equals) != f.name) continue;
    const std::string_view value = assignment.substr(equals + 1);
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.*f.at);
    require(error == std::errc() && end == value.data() + value.size(), "{} must be a whole number, came \"{}\"",
            f.name, value);
    return;
  }
  fail("\"{}\" sets nothing of the learning; known: {}", assignment, names);
}

struct OnlineLearner::Learning {
  Device device{{.exact = true}};
  LanguageModel model;
  Optimizer optimizer;
  WeightAverage average;
  int64_t step = 0;

  Learning(const LearningOptions& o, const ModelConfig& config, const QuantizedModel* prior)
      : model(device, config),
        optimizer(device, {&model.store()}, {.name = "muon", .eps = 1e-10, .clip = 1}),
        average(device, {&model.store()}) {
    if (prior)
      begin_as(*prior);
    else
      begin_anew(static_cast<uint64_t>(o.seed));
    model.store().values_changed();
    model.store().allocate_grads();
    average.set();
  }

  void begin_anew(uint64_t seed) {
    model.init(seed);
    // The half begins as nothing but the stream.
    for (Param& p : model.store().all())
      if (p.name.ends_with("dict_out")) scale(device, p.value, 0);
  }

  void begin_as(const QuantizedModel& prior) {
    for (Param& p : model.store().all()) {
      const std::vector<float> numbers =
          p.value.shape.rank() == 2 ? floats_of(prior.matrix(p.name)) : prior.vector(p.name);
      require(static_cast<int64_t>(numbers.size()) == p.value.numel(), "[online] the model's {} has {} numbers, not {}",
              p.name, numbers.size(), p.value.numel());
      std::copy(numbers.begin(), numbers.end(), p.value.as<float>());
    }
  }
};

namespace {

// Without what only training knows.
ModelConfig config_for(const LearningOptions& options, const QuantizedModel* prior) {
  if (!prior) return config_of(options);
  ModelConfig config = prior->config;
  config.dropout = 0;
  return config;
}

}  // namespace

OnlineLearner::OnlineLearner(const LearningOptions& options, const QuantizedModel* prior) : options_(options) {
  const ModelConfig config = config_for(options, prior);
  options_.validate(config);
  learning_ = std::make_unique<Learning>(options_, config, prior);
}

OnlineLearner::~OnlineLearner() = default;

int64_t OnlineLearner::weights() const { return learning_->model.store().count(); }

const IntegerModel& OnlineLearner::image() {
  if (!image_) {
    const WeightAverage::Swap swapped(learning_->average);
    image_ = std::make_unique<IntegerModel>(quantize(learning_->model, 8));
  }
  return *image_;
}

namespace {

// Windows as rows of tokens: a row ends with its last known byte; what a short one lacks is not counted.
struct Windows {
  int64_t context;
  std::vector<int32_t> inputs, targets;

  /// The bytes of `piece` before `end`.
  void add(std::string_view piece, int64_t end) {
    const int64_t n = std::min(context, end), from = end - n;
    for (int64_t i = 0; i < context; ++i) {
      const auto at = static_cast<std::size_t>(from + i);
      inputs.push_back(i >= n ? 256 : at == 0 ? 256 : static_cast<uint8_t>(piece[at - 1]));
      targets.push_back(i >= n ? -1 : static_cast<uint8_t>(piece[at]));
    }
  }
};

}  // namespace

void OnlineLearner::learn(std::span<const std::string_view> pieces) {
  Learning& l = *learning_;
  std::vector<std::string_view> all(known_.begin(), known_.end()), fresh;
  for (const std::string_view p : pieces)
    if (!p.empty()) fresh.push_back(p);
  all.insert(all.end(), fresh.begin(), fresh.end());
  uint64_t known = 0;
  for (const std::string_view p : all) known += p.size();
  if (fresh.empty()) return;
  const Rng rng(static_cast<uint64_t>(options_.seed), Stream::data);
  const int64_t newest = options_.batch - options_.batch * options_.replay / 100;
  for (int64_t s = 0; s < options_.steps; ++s, ++l.step) {
    Windows windows{options_.context, {}, {}};
    for (int64_t r = 0; r < options_.batch; ++r) {
      if (r < newest) {
        // From the newest bytes of every piece back, a window behind the other.
        const auto pieces_now = static_cast<int64_t>(fresh.size());
        const std::string_view p = fresh[static_cast<std::size_t>((r + l.step * newest) % pieces_now)];
        const auto size = static_cast<int64_t>(p.size());
        const int64_t back = r / pieces_now * options_.context;
        windows.add(p, back < size ? size - back : size);
        continue;
      }
      uint64_t at = rng.below(known, static_cast<uint64_t>(l.step), static_cast<uint64_t>(r));
      std::size_t which = 0;
      while (at >= all[which].size()) at -= all[which++].size();
      const auto size = static_cast<int64_t>(all[which].size());
      windows.add(all[which], std::min(size, static_cast<int64_t>(at) + options_.context / 2 + 1));
    }
    const Shape shape{options_.batch, options_.context};
    l.model.store().forget_grads();
    Run run(l.device, {.record = true, .train = true});
    const CrossEntropy out =
        l.model.loss(run, {windows.inputs.data(), shape, Dtype::i32}, {windows.targets.data(), shape, Dtype::i32});
    run.backward(out.loss);
    const double step = static_cast<double>(l.step), warm = std::min(1.0, (step + 1) / warmup);
    l.optimizer.update(
        1e-6 * static_cast<double>(options_.rate) * warm / std::sqrt(1 + step / static_cast<double>(options_.slowing)),
        0, l.step);
    l.average.update(std::min(1 - 1 / static_cast<double>(options_.average), (1 + step) / (10 + step)));
  }
  image_.reset();
}

void OnlineLearner::keep(std::string segment) { known_.push_back(std::move(segment)); }

std::string OnlineLearner::fingerprint(const LearningOptions& options, const QuantizedModel* prior) {
  LearningOptions little = options;
  little.batch = 4;
  little.steps = 3;
  OnlineLearner learner(little, prior);
  const std::string text = "Learning is compression. 0123456789 The best model is the shortest program.\n";
  const std::string_view pieces[] = {text, std::string_view(text).substr(20), std::string_view(text).substr(7, 30)};
  learner.learn(pieces);
  std::string numbers = behaviour_of(learner.image());
  for (const Param& p : learner.learning_->model.store().all())
    numbers.append(static_cast<const char*>(p.value.data), p.value.bytes());
  return numbers;
}

}  // namespace crate
