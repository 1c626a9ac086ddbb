#include "work/compare/compare.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "model/directory.h"
#include "work/compare/controls.h"
#include "work/compare/meter.h"

namespace crate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int64_t probe_steps = 24, probe_log = 4;  // of a run that measures speed
constexpr int64_t rotation_seed = 1;                // the same rotation for every run

// What must not change between a run and its continuation. Seeds and arms may be added, but the first seed chose the
// learning rates.
json identity_of(const Experiment& e) {
  json arms = json::object();
  for (const Arm& arm : e.arms) arms[arm.name] = arm.recipe.text;
  return {{"arms", arms},  {"reference", e.reference}, {"match", name_of(e.match)}, {"first_seed", e.seeds.front()},
          {"lr", e.rates}, {"lr_steps", e.rate_steps}};
}

bool continues(json old, json now) {
  const json before = old.value("arms", json::object());
  for (const auto& [name, text] : before.items()) {
    if (!now["arms"].contains(name) || now["arms"][name] != text) return false;
  }
  old.erase("arms");
  now.erase("arms");
  return old == now;
}

std::vector<json> lines_of(const std::string& path) {
  std::vector<json> out;
  std::istringstream in(read_text_file(path));
  for (std::string line; std::getline(in, line);) {
    json value = json::parse(line, nullptr, false);
    if (value.is_object()) out.push_back(std::move(value));
  }
  return out;
}

// "tokens" of a line that holds "tokens_per_second", empty for others.
std::string unit_of(const json& line) {
  constexpr std::string_view end = "_per_second";
  for (const auto& [key, value] : line.items()) {
    if (key.ends_with(end)) return key.substr(0, key.size() - end.size());
  }
  return "";
}

double speed_of(const json& line, const std::string& unit) { return line.value(unit + "_per_second", 0.0); }

// Time of training and the validation curve, as metrics.jsonl tells them; restarts leave no trace in either.
void read_metrics(const std::string& folder, RunResult& r) {
  double seen = 0;
  for (const json& line : lines_of(folder + "/metrics.jsonl")) {
    if (line.contains("val_loss")) r.curve.emplace_back(line.value("step", 0.0), line.value("val_loss", 0.0));
    const std::string unit = unit_of(line);
    if (unit.empty() || speed_of(line, unit) <= 0) continue;
    r.unit = unit;
    r.seconds += (line.value(unit, 0.0) - seen) / speed_of(line, unit);
    seen = line.value(unit, 0.0);
  }
}

// Median over the parts of a run but the first, which also packs and allocates.
double steady_speed(const std::string& folder) {
  std::vector<double> speeds;
  for (const json& line : lines_of(folder + "/metrics.jsonl")) {
    const std::string unit = unit_of(line);
    if (!unit.empty() && line.value("step", int64_t{0}) > probe_log) speeds.push_back(speed_of(line, unit));
  }
  require(!speeds.empty(), "[compare] {} holds no measured speed; delete that folder and go on", folder);
  std::nth_element(speeds.begin(), speeds.begin() + static_cast<std::ptrdiff_t>(speeds.size() / 2), speeds.end());
  return speeds[speeds.size() / 2];
}

json to_file(const RunResult& r) {
  return {{"loss", std::isfinite(r.loss) ? json(r.loss) : json(nullptr)},
          {"unit", r.unit},
          {"metrics", r.metrics},
          {"code_nonzero", r.nonzero},
          {"seconds", r.seconds},
          {"curve", r.curve}};
}

std::optional<RunResult> from_file(const std::string& path, uint64_t seed) {
  if (!fs::exists(path)) return std::nullopt;
  const json file = json::parse(read_text_file(path), nullptr, false);
  require(file.is_object() && file.contains("loss"), "{} is damaged; delete it, and the run is evaluated again", path);
  return RunResult{.seed = seed,
                   .loss = file["loss"].is_number() ? file["loss"].get<double>() : infinity,
                   .unit = file.value("unit", ""),
                   .metrics = file.value("metrics", std::vector<Metric>{}),
                   .nonzero = file.value("code_nonzero", 0.0),
                   .seconds = file.value("seconds", 0.0),
                   .curve = file.value("curve", std::vector<std::pair<double, double>>{})};
}

struct Stopped {};  // leaves the experiment where it is

class Comparer {
 public:
  Comparer(const Experiment& experiment, const CompareOptions& options) : experiment_(experiment), options_(options) {
    result_.reference = experiment.reference;
    result_.match = experiment.match;
  }

  Comparison run() {
    prepare_folder();
    size_arms();
    meter_.of(all_work());
    if (options_.sized) options_.sized(result_);
    try {
      for (ArmResult& arm : result_.arms) choose_rate(arm);
      if (timed()) choose_steps();
      for (const uint64_t seed : experiment_.seeds) {
        for (ArmResult& arm : result_.arms) arm.runs.push_back(train_one(arm, seed_recipe(arm, seed), "seed", seed));
      }
      for (const Control control : experiment_.controls) {
        for (ArmResult& arm : result_.arms) evaluate_control(arm, control);
      }
    } catch (const Stopped&) {
      result_.stopped = true;
    }
    return result_;
  }

 private:
  bool timed() const { return experiment_.match == Match::time; }
  bool full_tries() const { return experiment_.rate_steps == 0; }
  bool stopping() const { return options_.stop && options_.stop->load(); }

  void prepare_folder() {
    const std::string path = options_.out + "/plan.json";
    const json plan = identity_of(experiment_);
    if (fs::exists(path)) {
      const json old = json::parse(read_text_file(path), nullptr, false);
      if (!old.is_object() || !continues(old, plan)) {
        require(options_.force, "{} holds another experiment; give another --out, or --force to start over",
                options_.out);
        for (const Arm& arm : experiment_.arms) fs::remove_all(fs::path(options_.out) / arm.name);
      }
    }
    fs::create_directories(options_.out);
    write_atomically(path, plan.dump(2) + "\n");
  }

  void size_arms() {
    const Budget target = budget_of(experiment_.reference_arm().recipe.model);
    for (const Arm& arm : experiment_.arms) {
      ArmResult r;
      r.name = arm.name;
      r.recipe = arm.recipe;
      r.recipe.model = sized_to(arm.recipe.model, target, experiment_.match);
      r.budget = budget_of(r.recipe.model);
      r.mismatch = std::exp(crate::mismatch(r.budget, target, experiment_.match)) - 1;
      result_.arms.push_back(std::move(r));
    }
  }

  // A step of an arm costs its FLOPs a token; batch and context are common to all.
  double all_work() {
    double all = 0;
    for (const ArmResult& arm : result_.arms) {
      const int64_t try_steps = full_tries() ? arm.recipe.train.steps : experiment_.rate_steps;
      const double tries = static_cast<double>(experiment_.rates.size()) * static_cast<double>(try_steps);
      const double runs = static_cast<double>(experiment_.seeds.size()) * static_cast<double>(arm.recipe.train.steps);
      all += arm.budget.flops * (tries + runs + (timed() ? probe_steps : 0));
    }
    const std::size_t of_an_arm =
        experiment_.rates.size() + (timed() ? 1 : 0) + experiment_.seeds.size() * (1 + experiment_.controls.size());
    progress_.runs = static_cast<int64_t>(result_.arms.size() * of_an_arm);
    return all;
  }

  void tell(const std::string& run) {
    if (stopping()) throw Stopped{};
    meter_.begin();
    progress_.run = run;
    ++progress_.number;
    progress_.done = meter_.share();
    progress_.seconds_left = meter_.seconds_left();
    if (options_.started) options_.started(progress_);
  }

  std::string folder_of(const ArmResult& arm, const std::string& run) const {
    return options_.out + "/" + arm.name + "/" + run;
  }

  Recipe seed_recipe(const ArmResult& arm, uint64_t seed) const {
    Recipe recipe = arm.recipe;
    recipe.train.seed = seed;
    return recipe;
  }

  // Trains, or continues, one run, unless its result is there already. A loss that is lost is a result too.
  template <class Tag> RunResult train_one(const ArmResult& arm, const Recipe& recipe, const char* kind, Tag tag) {
    const std::string folder = folder_of(arm, fmt::format("{}-{}", kind, tag));
    const double flops = arm.budget.flops;
    tell(fmt::format("{} {} {}", arm.name, kind, tag));
    std::optional<RunResult> result = from_file(folder + "/result.json", recipe.train.seed);
    if (!result) {
      result = validated(folder, recipe, [&](const StepReport& r) {
        meter_.at(flops * static_cast<double>(r.step));
        progress_.done = meter_.share();
        progress_.seconds_left = meter_.seconds_left();
        if (options_.step) options_.step(progress_, r);
      });
      read_metrics(folder, *result);
      write_atomically(folder + "/result.json", to_file(*result).dump() + "\n");
    }
    meter_.end(flops * static_cast<double>(recipe.train.steps));
    return *result;
  }

  RunResult validated(const std::string& folder, const Recipe& recipe, std::function<void(const StepReport&)> step) {
    TrainOptions options;
    options.out = folder;
    options.resume = true;
    options.stop = options_.stop;
    options.observer.step = std::move(step);
    try {
      const TrainResult trained = train(recipe, options);
      if (trained.stopped) throw Stopped{};
      return {.seed = recipe.train.seed,
              .loss = trained.validation.loss,
              .metrics = trained.validation.metrics,
              .nonzero = trained.validation.mean_nonzero()};
    } catch (const Error& e) {
      const std::string_view what = e.what();  // the trainer's errors of this kind name the remedy
      if (what.find(" became ") == std::string_view::npos || what.find("optimizer.lr") == std::string_view::npos) throw;
      return {.seed = recipe.train.seed, .loss = infinity};
    }
  }

  void choose_rate(ArmResult& arm) {
    for (const double lr : experiment_.rates) {
      Recipe recipe = seed_recipe(arm, experiment_.seeds.front());
      recipe.optimizer.lr = lr;
      if (experiment_.rate_steps > 0) {
        // The run in small: its warm-up takes the same share.
        recipe.schedule.warmup =
            arm.recipe.schedule.warmup * experiment_.rate_steps / std::max<int64_t>(1, arm.recipe.train.steps);
        recipe.train.steps = experiment_.rate_steps;
      }
      arm.tries.push_back({lr, train_one(arm, recipe, "lr", lr).loss});
    }
    if (arm.tries.empty()) return;
    const auto best = std::min_element(arm.tries.begin(), arm.tries.end(),
                                       [](const RateTry& a, const RateTry& b) { return a.loss < b.loss; });
    require(std::isfinite(best->loss), "[compare] arm {} diverged at every learning rate of compare.lr: add lower ones",
            arm.name);
    arm.recipe.optimizer.lr = best->lr;
    if (full_tries() && !timed()) adopt_try(arm);
  }

  // A try of full length is the first seed's run: the same recipe, the same numbers.
  void adopt_try(const ArmResult& arm) const {
    const std::string run = folder_of(arm, fmt::format("seed-{}", experiment_.seeds.front()));
    if (fs::exists(run + "/result.json")) return;
    const std::string part = run + ".part";  // a copy that was cut short is no run
    fs::remove_all(part);
    fs::copy(folder_of(arm, fmt::format("lr-{}", arm.recipe.optimizer.lr)), part, fs::copy_options::recursive);
    fs::remove_all(run);
    fs::rename(part, run);
  }

  // Tokens a second of a short run decide how many steps fit into the reference's time.
  void choose_steps() {
    std::vector<double> speeds;
    for (const ArmResult& arm : result_.arms) {
      Recipe recipe = seed_recipe(arm, experiment_.seeds.front());
      recipe.train.steps = probe_steps;
      recipe.train.log_every = probe_log;
      recipe.train.eval_every = recipe.train.checkpoint_every = 0;
      train_one(arm, recipe, "speed", "probe");
      speeds.push_back(steady_speed(folder_of(arm, "speed-probe")));
    }
    const ArmResult& reference = result_.reference_arm();
    const double steps = static_cast<double>(reference.recipe.train.steps),
                 speed = speeds[static_cast<std::size_t>(&reference - result_.arms.data())];
    for (std::size_t i = 0; i < speeds.size(); ++i)
      result_.arms[i].recipe.train.steps = std::max<int64_t>(1, std::llround(steps * speeds[i] / speed));
    meter_.of(all_work());
  }

  void evaluate_control(ArmResult& arm, Control control) {
    ControlResult out{control, {}};
    for (std::size_t i = 0; i < experiment_.seeds.size(); ++i) {
      const uint64_t seed = experiment_.seeds[i];
      const std::string folder = folder_of(arm, fmt::format("{}-{}", name_of(control), seed));
      tell(fmt::format("{} seed {} {}", arm.name, seed, name_of(control)));
      std::optional<RunResult> result = from_file(folder + ".json", seed);
      if (!result) {
        result = control_of_run(arm, folder, control, arm.runs[i]);
        write_atomically(folder + ".json", to_file(*result).dump() + "\n");
      }
      out.runs.push_back(*result);
    }
    arm.controls.push_back(std::move(out));
  }

  // The trainer evaluates what it resumes at its last step, and what it only initialises at step 0.
  RunResult control_of_run(const ArmResult& arm, const std::string& folder, Control control, const RunResult& run) {
    Recipe recipe = seed_recipe(arm, run.seed);
    fs::remove_all(folder);
    if (control == Control::untrained) {
      recipe.train.steps = 0;
    } else {
      if (!std::isfinite(run.loss)) return run;  // nothing was learned that could be turned
      fs::copy(folder_of(arm, fmt::format("seed-{}", run.seed)), folder, fs::copy_options::recursive);
      turn_model(folder, rotation_seed);
    }
    const RunResult result = validated(folder, recipe, {});
    fs::remove_all(folder);
    return result;
  }

  const Experiment& experiment_;
  const CompareOptions& options_;
  Comparison result_;
  CompareProgress progress_;
  WorkMeter meter_;
};

}  // namespace

Comparison compare(const Experiment& experiment, const CompareOptions& options) {
  Comparison result = Comparer(experiment, options).run();
  if (!result.stopped) {
    write_atomically(options.out + "/results.json", to_json(result) + "\n");
    if (const std::string svg = curves_svg(result); !svg.empty()) write_atomically(options.out + "/curves.svg", svg);
  }
  return result;
}

}  // namespace crate
