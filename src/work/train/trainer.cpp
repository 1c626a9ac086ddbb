#include "work/train/trainer.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>

#include "base/error.h"
#include "base/rng.h"
#include "model/checkpoint.h"
#include "work/data/tokens.h"
#include "work/eval/sparsity.h"
#include "work/train/state.h"

namespace crate {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Corpora {
  Tokens train, val;
};

Corpora open_corpora(const Recipe& recipe, const Tokenizer& tokenizer) {
  const DataRecipe& data = recipe.data;
  const ReadOptions reading{data.json_field, data.document_prefix};
  const Tokens train = open_tokens(data.train, "train", tokenizer, reading);
  if (!data.val.empty()) return {train, open_tokens(data.val, "val", tokenizer, reading)};
  if (std::filesystem::exists(std::filesystem::path(data.train) / "data.json"))
    return {train, open_tokens(data.train, "val", tokenizer)};
  const auto cut = static_cast<int64_t>(static_cast<double>(train.size()) * (1 - data.val_fraction));
  return {train.slice(0, cut), train.slice(cut, train.size())};
}

double scalar(const Tensor& t) { return t.dtype == Dtype::f32 ? t.as<float>()[0] : t.as<double>()[0]; }

class Trainer {
 public:
  Trainer(const Recipe& recipe, const TrainOptions& options)
      : recipe_(recipe),
        options_(options),
        device_({.kind = options.device, .bf16_products = recipe.train.dtype == "bf16"}),
        tokenizer_(load_tokenizer(recipe.data.tokenizer)),
        corpora_(open_corpora(recipe, *tokenizer_)),
        model_(device_, recipe.model),
        optimizer_(device_, model_.store(), recipe.optimizer),
        data_(identity_of(corpora_.train)) {
    require(tokenizer_->vocab_size() <= recipe.model.vocab,
            "the tokenizer has {} tokens, model.vocab is only {}; set model.vocab = {}", tokenizer_->vocab_size(),
            recipe.model.vocab, tokenizer_->vocab_size());
    check_length(corpora_.train, recipe.model.context);
    require(corpora_.val.size() > 1, "{} leaves no text for validation", corpora_.val.name());
    model_.store().allocate_grads();
    model_.set_recompute(recipe.train.recompute);
    start();
  }

  TrainResult run() {
    started_ = reported_ = Clock::now();
    const int64_t steps = recipe_.train.steps;
    bool saved = true;
    while (now_.step < steps && !stopping()) {
      const bool log = (now_.step + 1) % recipe_.train.log_every == 0 || now_.step + 1 == steps;
      one_step(log);
      saved = false;
      if (log) report();
      if (every(recipe_.train.eval_every) && now_.step < steps) validate();
      if (every(recipe_.train.checkpoint_every) && now_.step < steps) {
        save();
        saved = true;
      }
    }
    if (!saved || now_.step == 0) save();
    TrainResult result{now_.step, now_.step < steps, {}, last_};
    if (!result.stopped) result.validation = validate();
    return result;
  }

 private:
  void start() {
    const bool there = is_complete_directory(options_.out);
    require(!there || options_.resume || options_.force,
            "{} holds a model already; give --resume to continue it, --force to start over, or another --out",
            options_.out);
    if (there && options_.resume) {
      const DirectoryReader directory(options_.out);
      require(to_json(load_config(options_.out)) == to_json(recipe_.model),
              "{} holds another model than the recipe describes; give another --out", options_.out);
      const std::string weights = directory.path("model.safetensors");
      fill_parameters(model_, read_safetensors(weights).tensors, weights);
      now_ = load_state(directory, optimizer_, recipe_, data_);
      truncate_metrics(options_.out, now_.step, now_.step >= recipe_.train.steps);
    } else {
      model_.init(recipe_.train.seed);
      std::filesystem::create_directories(options_.out);
      std::filesystem::remove(std::filesystem::path(options_.out) / "metrics.jsonl");
    }
    metrics_.open(std::filesystem::path(options_.out) / "metrics.jsonl", std::ios::app);
    // From here on the directory is this run's: without a first checkpoint, --resume would continue the old one.
    if (there && !options_.resume) save();
  }

  bool stopping() const { return options_.stop && options_.stop->load(); }
  bool every(int64_t n) const { return n > 0 && now_.step % n == 0; }

  // Row `row` of step `step` begins at an addressed random place of the corpus.
  void draw(int64_t rows, int64_t first_row, std::vector<int32_t>& inputs, std::vector<int32_t>& targets) const {
    const int64_t n = recipe_.model.context;
    const Rng rng(recipe_.train.seed, Stream::data);
    for (int64_t r = 0; r < rows; ++r) {
      const auto places = static_cast<uint64_t>(corpora_.train.size() - n);
      const auto at = static_cast<int64_t>(
          rng.below(places, static_cast<uint64_t>(now_.step), static_cast<uint64_t>(first_row + r)));
      corpora_.train.copy(at, n, inputs.data() + r * n);
      corpora_.train.copy(at + 1, n, targets.data() + r * n);
    }
  }

  int64_t bytes_of(const std::vector<int32_t>& tokens) const {
    int64_t bytes = 0;
    for (const int32_t t : tokens) bytes += static_cast<int64_t>(tokenizer_->bytes_of(t).size());
    return bytes;
  }

  double micro_batch(int64_t part, Tap* tap) {
    const int64_t parts = recipe_.train.micro_batches, rows = recipe_.train.batch / parts, n = recipe_.model.context;
    std::vector<int32_t> inputs(static_cast<std::size_t>(rows * n)), targets(inputs.size());
    draw(rows, part * rows, inputs, targets);
    now_.bytes += bytes_of(targets);
    const bool trace = options_.observer.traced && !traced_;
    Run run(device_, {.record = true,
                      .train = true,
                      .trace = trace,
                      .tap = tap,
                      .seed = recipe_.train.seed,
                      .step = static_cast<uint64_t>(now_.step * parts + part)});
    const CrossEntropy out = model_.loss(run, {inputs.data(), {rows, n}, Dtype::i32},
                                         {targets.data(), {rows, n}, Dtype::i32}, 1.0 / static_cast<double>(parts));
    run.backward(out.loss);
    if (trace) options_.observer.traced(run);
    traced_ = true;
    flops_ += run.forward_cost().flops + run.backward_cost().flops;
    return scalar(out.loss);
  }

  void one_step(bool log) {
    SparsityTap sparsity(recipe_.model.layers);
    double loss = 0;
    model_.store().forget_grads();
    for (int64_t part = 0; part < recipe_.train.micro_batches; ++part)
      loss += micro_batch(part, log ? &sparsity : nullptr);
    loss /= static_cast<double>(recipe_.train.micro_batches);
    require(
        std::isfinite(loss),
        "the loss became {} at step {}; the last checkpoint in {} is kept: lower optimizer.lr or raise schedule.warmup",
        loss, now_.step + 1, options_.out);
    last_.lr = learning_rate(recipe_.schedule, recipe_.optimizer.lr, now_.step, recipe_.train.steps);
    last_.grad_norm = optimizer_.update(last_.lr, now_.step);
    require(std::isfinite(last_.grad_norm),
            "the gradient became {} at step {}; the last checkpoint in {} is kept: lower optimizer.lr or raise "
            "schedule.warmup",
            last_.grad_norm, now_.step + 1, options_.out);
    ++now_.step;
    now_.loss_sum += loss;
    ++now_.loss_count;
    if (log) last_.code_nonzero = sparsity.mean();
  }

  void report() {
    const double seconds = since(reported_);
    const int64_t tokens_a_step = recipe_.train.batch * recipe_.model.context;
    last_.step = now_.step;
    last_.steps = recipe_.train.steps;
    last_.loss = now_.loss_sum / static_cast<double>(now_.loss_count);
    last_.bits_per_byte = now_.bytes > 0 ? now_.loss_sum * static_cast<double>(tokens_a_step) / std::numbers::ln2 /
                                               static_cast<double>(now_.bytes)
                                         : 0;
    last_.tokens = now_.step * tokens_a_step;
    last_.seconds = since(started_);
    last_.tokens_per_second = static_cast<double>(now_.loss_count * tokens_a_step) / seconds;
    last_.peak_share = options_.peak_gflops > 0 ? flops_ / seconds / (1e9 * options_.peak_gflops) : 0;
    now_.loss_sum = flops_ = 0;
    now_.loss_count = now_.bytes = 0;
    write_line({{"step", last_.step},
                {"loss", last_.loss},
                {"bits_per_byte", last_.bits_per_byte},
                {"lr", last_.lr},
                {"grad_norm", last_.grad_norm},
                {"tokens", last_.tokens},
                {"seconds", last_.seconds},
                {"tokens_per_second", last_.tokens_per_second},
                {"peak_share", last_.peak_share},
                {"code_nonzero", last_.code_nonzero}});
    if (options_.observer.step) options_.observer.step(last_);
    reported_ = Clock::now();
  }

  void write_line(const nlohmann::json& line) {
    metrics_ << line.dump() << std::endl;
    require(metrics_.good(), "cannot write {}/metrics.jsonl: free some space, then continue with --resume",
            options_.out);
  }

  EvalResult validate() {
    const auto paused = Clock::now();
    const EvalResult r = evaluate(model_, *tokenizer_, corpora_.val, {.max_tokens = recipe_.train.eval_tokens});
    require(std::isfinite(r.loss),
            "the validation loss became {} at step {}; lower optimizer.lr or raise schedule.warmup, and go on from the "
            "last good checkpoint in {}",
            r.loss, now_.step, options_.out);
    write_line(
        {{"step", now_.step}, {"val_loss", r.loss}, {"val_bits_per_byte", r.bits_per_byte}, {"val_tokens", r.tokens}});
    if (options_.observer.evaluated) options_.observer.evaluated(now_.step, r);
    reported_ += Clock::now() - paused;
    return r;
  }

  // A checkpoint must be worth resuming: the loss of this step was finite, but its update may have blown the weights.
  void check_weights() {
    const int64_t n = recipe_.model.context;
    std::vector<int32_t> inputs(static_cast<std::size_t>(n)), targets(inputs.size());
    draw(1, 0, inputs, targets);
    Run run(device_);
    const double loss =
        scalar(model_.loss(run, {inputs.data(), {1, n}, Dtype::i32}, {targets.data(), {1, n}, Dtype::i32}).loss);
    require(std::isfinite(loss),
            "after step {} the loss became {}; the last checkpoint in {} is kept: lower optimizer.lr or raise "
            "schedule.warmup",
            now_.step, loss, options_.out);
  }

  void save() {
    const auto paused = Clock::now();
    check_weights();
    DirectoryWriter directory(options_.out);
    directory.replace_all();
    put_model(directory, model_);
    if (const std::string json = tokenizer_->to_json(); !json.empty()) directory.text("tokenizer.json", json);
    put_state(directory, optimizer_, recipe_, now_, data_);
    directory.commit();
    if (options_.observer.saved) options_.observer.saved(now_.step, options_.out);
    reported_ += Clock::now() - paused;
  }

  const Recipe& recipe_;
  const TrainOptions& options_;
  Device device_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Corpora corpora_;
  LanguageModel model_;
  Optimizer optimizer_;
  std::string data_;  // identity of the training text
  TrainProgress now_;
  bool traced_ = false;
  double flops_ = 0;
  StepReport last_;
  std::ofstream metrics_;
  Clock::time_point started_, reported_;
};

}  // namespace

TrainResult train(const Recipe& recipe, const TrainOptions& options) { return Trainer(recipe, options).run(); }

}  // namespace crate
