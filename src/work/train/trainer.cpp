#include "work/train/trainer.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "work/eval/sparsity.h"
#include "work/measure/report.h"
#include "work/train/average.h"
#include "work/train/metrics.h"
#include "work/train/state.h"

namespace crate {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class Trainer {
 public:
  Trainer(const Recipe& recipe, const TrainOptions& options)
      : recipe_(recipe),
        options_(options),
        device_({.kind = options.device, .products = products_named(recipe.train.dtype)}),
        task_(make_task(device_, recipe_)),
        optimizer_(device_, task_->stores(), recipe_.optimizer, [this](const Param& p) { return task_->is_fixed(p); }) {
    for (ParameterStore* store : task_->stores()) store->allocate_grads();
    last_.unit = task_->unit();
    if (recipe_.train.ema > 0) own_average_.emplace(device_, task_->stores());
    average_ = own_average_ ? &*own_average_ : task_->average();
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
      if (every(recipe_.train.measure_every)) measure();
      if (every(recipe_.train.checkpoint_every) && now_.step < steps) {
        save();
        saved = true;
      }
    }
    if (!saved || now_.step == 0) save();
    result_.step = now_.step;
    result_.stopped = now_.step < steps;
    result_.last = last_;
    if (result_.stopped)
      result_.validation = result_.averaged = {};
    else
      validate();
    return result_;
  }

 private:
  void start() {
    const bool there = is_complete_directory(options_.out);
    require(!there || options_.resume || options_.force,
            "{} holds a model already; give --resume to continue it, --force to start over, or another --out",
            options_.out);
    if (there && options_.resume) {
      const DirectoryReader directory(options_.out);
      task_->load(directory);
      now_ = load_state(directory, tensors(), recipe_, task_->data());
      metrics_.emplace(Metrics::after(options_.out, now_.step, now_.step >= recipe_.train.steps));
      return;
    }
    task_->init();
    if (own_average_) own_average_->set();
    std::filesystem::create_directories(options_.out);
    metrics_.emplace(options_.out);
    // From here on the directory is this run's: without a first checkpoint, --resume would continue the old one.
    if (there) save();
  }

  bool stopping() const { return options_.stop && options_.stop->load(); }
  bool every(int64_t n) const { return n > 0 && now_.step % n == 0; }

  // Everything beside the weights that a resumed run needs.
  StateTensors tensors() const {
    StateTensors out;
    for (const auto& m : optimizer_.moments()) out.emplace_back(m.name, m.value);
    if (average_)
      for (auto& named : average_->named("ema")) out.push_back(named);
    return out;
  }

  double part_of_a_batch(int64_t part, Tap* tap) {
    const int64_t parts = recipe_.train.micro_batches;
    const bool trace = options_.observer.traced && !traced_;
    Run run(device_, {.record = true,
                      .train = true,
                      .trace = trace,
                      .tap = tap,
                      .seed = recipe_.train.seed,
                      .step = static_cast<uint64_t>(now_.step * parts + part)});
    const double loss = task_->learn(run, {now_.step, part, parts}, now_.sums);
    if (trace) options_.observer.traced(run);
    traced_ = true;
    flops_ += run.forward_cost().flops + run.backward_cost().flops;
    return loss;
  }

  void one_step(bool log) {
    SparsityTap sparsity(task_->layers());
    const int64_t parts = recipe_.train.micro_batches, steps = recipe_.train.steps;
    double loss = 0;
    for (ParameterStore* store : task_->stores()) store->forget_grads();
    for (int64_t part = 0; part < parts; ++part) loss += part_of_a_batch(part, log ? &sparsity : nullptr);
    loss /= static_cast<double>(parts);
    require(
        std::isfinite(loss),
        "the loss became {} at step {}; the last checkpoint in {} is kept: lower optimizer.lr or raise schedule.warmup",
        loss, now_.step + 1, options_.out);
    last_.lr = learning_rate(recipe_.schedule, recipe_.optimizer.lr, now_.step, steps);
    last_.grad_norm = optimizer_.update(last_.lr, weight_decay(recipe_.optimizer, now_.step, steps), now_.step);
    require(std::isfinite(last_.grad_norm),
            "the gradient became {} at step {}; the last checkpoint in {} is kept: lower optimizer.lr or raise "
            "schedule.warmup",
            last_.grad_norm, now_.step + 1, options_.out);
    task_->stepped(now_.step);
    ++now_.step;
    if (own_average_) own_average_->update(average_decay(recipe_.train.ema, now_.step));
    now_.loss_sum += loss;
    ++now_.loss_count;
    if (log) last_.code_nonzero = sparsity.mean();
    if (options_.observer.left_out)
      for (const std::string& why : task_->left_out()) options_.observer.left_out(now_.step, why);
  }

  void report() {
    const double seconds = since(reported_);
    const int64_t units = task_->units_a_step();
    last_.step = now_.step;
    last_.steps = recipe_.train.steps;
    last_.loss = now_.loss_sum / static_cast<double>(now_.loss_count);
    last_.metrics = task_->metrics(now_.sums, now_.loss_sum, seconds);
    last_.seen = now_.step * units;
    last_.seconds = since(started_);
    last_.per_second = static_cast<double>(now_.loss_count * units) / seconds;
    last_.peak_share = options_.peak_gflops > 0 ? flops_ / seconds / (1e9 * options_.peak_gflops) : 0;
    now_ = {.step = now_.step};
    flops_ = 0;
    nlohmann::json line = {{"step", last_.step},
                           {"loss", last_.loss},
                           {"lr", last_.lr},
                           {"grad_norm", last_.grad_norm},
                           {last_.unit, last_.seen},
                           {"seconds", last_.seconds},
                           {std::string(last_.unit) + "_per_second", last_.per_second},
                           {"peak_share", last_.peak_share},
                           {"code_nonzero", last_.code_nonzero}};
    for (const auto& [name, value] : last_.metrics) line[name] = value;
    metrics_->write(line);
    if (options_.observer.step) options_.observer.step(last_);
    reported_ = Clock::now();
  }

  void validate() {
    const auto paused = Clock::now();
    nlohmann::json line = {{"step", now_.step}};
    result_.validation = validate_as("val", line);
    if (average_) {
      const WeightAverage::Swap swapped(*average_);
      result_.averaged = validate_as("ema", line);
    }
    metrics_->write(line);
    if (options_.observer.evaluated) {
      options_.observer.evaluated(now_.step, result_.validation, false);
      if (average_) options_.observer.evaluated(now_.step, result_.averaged, true);
    }
    reported_ += Clock::now() - paused;
  }

  Validation validate_as(const char* prefix, nlohmann::json& line) {
    Validation v = task_->validate();
    require(std::isfinite(v.loss),
            "the validation loss became {} at step {}; lower optimizer.lr or raise schedule.warmup, and go on from the "
            "last good checkpoint in {}",
            v.loss, now_.step, options_.out);
    const std::string stem = std::string(prefix) + "_";
    line[stem + "loss"] = v.loss;
    for (const auto& [name, value] : v.metrics) line[stem + name] = value;
    return v;
  }

  void measure() {
    const auto paused = Clock::now();
    if (const std::optional<Measurement> m = task_->measure(recipe_.train.measure_samples)) {
      nlohmann::json line = summary_of(*m);
      line["step"] = now_.step;
      metrics_->write(line);
      if (options_.observer.measured) options_.observer.measured(now_.step, *m);
    }
    reported_ += Clock::now() - paused;
  }

  // A checkpoint must be worth resuming: the loss of this step was finite, but its update may have blown the weights.
  void check_weights() {
    const double loss = task_->probe(now_.step);
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
    task_->put(directory);
    put_state(directory, tensors(), recipe_, now_, task_->data());
    directory.commit();
    if (average_) save_average();
    if (options_.observer.saved) options_.observer.saved(now_.step, options_.out);
    reported_ += Clock::now() - paused;
  }

  // The averaged weights as a model directory of their own, for every command that takes one.
  void save_average() {
    const WeightAverage::Swap swapped(*average_);
    DirectoryWriter directory((std::filesystem::path(options_.out) / "ema").string());
    directory.replace_all();
    task_->put(directory);
    directory.commit();
  }

  Recipe recipe_;  // a copy: the task settles what depends on the data
  const TrainOptions& options_;
  Device device_;
  std::unique_ptr<Task> task_;
  Optimizer optimizer_;
  std::optional<WeightAverage> own_average_;  // of [train] ema
  WeightAverage* average_ = nullptr;          // that, or the task's; null: none
  TrainProgress now_;
  bool traced_ = false;
  double flops_ = 0;
  StepReport last_;
  TrainResult result_;
  std::optional<Metrics> metrics_;
  Clock::time_point started_, reported_;
};

}  // namespace

TrainResult train(const Recipe& recipe, const TrainOptions& options) { return Trainer(recipe, options).run(); }

}  // namespace crate
