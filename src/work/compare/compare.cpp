#include "work/compare/compare.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "work/draw/chart.h"

namespace crate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What must not change between a run and its continuation.
std::string identity_of(const Experiment& e) {
  json arms = json::object();
  for (const Arm& arm : e.arms) arms[arm.name] = arm.recipe.text;
  return json{{"arms", arms},  {"reference", e.reference}, {"match", name_of(e.match)}, {"seeds", e.seeds},
              {"lr", e.rates}, {"lr_steps", e.rate_steps}}
      .dump();
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

RunResult result_of(const std::string& folder, uint64_t seed, const TrainResult& trained) {
  RunResult r{
      seed, trained.validation.loss, trained.validation.value("bits_per_byte"), trained.validation.mean_nonzero(), 0,
      {}};
  double last = 0;
  for (const json& line : lines_of(folder + "/metrics.jsonl")) {
    if (line.contains("val_loss")) r.curve.emplace_back(line.value("step", 0.0), line.value("val_loss", 0.0));
    if (!line.contains("seconds")) continue;
    const double now = line.value("seconds", 0.0);  // begins at 0 again after a restart
    r.seconds += now < last ? now : now - last;
    last = now;
  }
  return r;
}

class Comparer {
 public:
  Comparer(const Experiment& experiment, const CompareOptions& options) : experiment_(experiment), options_(options) {
    result_.reference = experiment.reference;
    result_.match = experiment.match;
    all_ = static_cast<int64_t>(experiment.arms.size() *
                                (experiment.seeds.size() + experiment.rates.size() + (timed() ? 1 : 0)));
  }

  Comparison run() {
    prepare_folder();
    const Budget target = budget_of(experiment_.reference_arm().recipe.model);
    for (const Arm& arm : experiment_.arms) {
      ArmResult r{arm.name, arm.recipe, {}, 0, {}, {}};
      r.recipe.model = sized_to(arm.recipe.model, target, experiment_.match);
      r.budget = budget_of(r.recipe.model);
      r.mismatch = crate::mismatch(r.budget, target, experiment_.match);
      result_.arms.push_back(std::move(r));
    }
    choose_rates();
    if (timed()) choose_steps();
    for (const uint64_t seed : experiment_.seeds) {
      for (ArmResult& arm : result_.arms) train_seed(arm, seed);
    }
    return result_;
  }

 private:
  bool timed() const { return experiment_.match == Match::time; }
  bool stopping() const { return options_.stop && options_.stop->load(); }

  void prepare_folder() {
    const std::string plan = options_.out + "/plan.json", identity = identity_of(experiment_);
    if (fs::exists(plan) && read_text_file(plan) != identity + "\n") {
      require(options_.force, "{} holds another experiment; give another --out, or --force to start over",
              options_.out);
      for (const Arm& arm : experiment_.arms) fs::remove_all(fs::path(options_.out) / arm.name);
    }
    fs::create_directories(options_.out);
    write_atomically(plan, identity + "\n");
  }

  // Trains, or continues, one run. False when a stop was asked for before its end.
  bool train_one(const ArmResult& arm, const Recipe& recipe, const std::string& run, TrainResult& out) {
    if (stopping()) return false;
    if (options_.started) options_.started(arm.name + " " + run, done_, all_);
    TrainOptions options;
    options.out = folder_of(arm, run);
    options.resume = true;
    options.stop = options_.stop;
    options.observer.step = options_.step;
    out = train(recipe, options);
    result_.stopped |= out.stopped;
    ++done_;
    return !out.stopped;
  }

  std::string folder_of(const ArmResult& arm, const std::string& run) const {
    std::string name = run;
    std::replace(name.begin(), name.end(), ' ', '-');
    return options_.out + "/" + arm.name + "/" + name;
  }

  void choose_rates() {
    for (ArmResult& arm : result_.arms) {
      for (const double lr : experiment_.rates) {
        Recipe recipe = arm.recipe;
        recipe.optimizer.lr = lr;
        recipe.train.steps = experiment_.rate_steps;
        recipe.train.seed = experiment_.seeds.front();
        TrainResult trained;
        // A rate at which the loss is lost is a result too.
        double loss = std::numeric_limits<double>::infinity();
        try {
          if (!train_one(arm, recipe, fmt::format("lr {}", lr), trained)) return stop();
          loss = trained.validation.loss;
        } catch (const Error& e) {
          if (std::string_view(e.what()).find("optimizer.lr") == std::string_view::npos) throw;
        }
        arm.tries.push_back({lr, loss});
      }
      if (arm.tries.empty()) continue;
      const auto best = std::min_element(arm.tries.begin(), arm.tries.end(),
                                         [](const RateTry& a, const RateTry& b) { return a.loss < b.loss; });
      require(std::isfinite(best->loss), "[compare] arm {} diverged at every learning rate of compare.lr", arm.name);
      arm.recipe.optimizer.lr = best->lr;
    }
  }

  // Tokens a second of a short run decide how many steps fit into the reference's time.
  void choose_steps() {
    constexpr int64_t probe_steps = 20;
    std::vector<double> speed;
    for (const ArmResult& arm : result_.arms) {
      Recipe recipe = arm.recipe;
      recipe.train.steps = recipe.train.log_every = probe_steps;
      recipe.train.eval_every = recipe.train.checkpoint_every = 0;
      const std::string path = folder_of(arm, "speed") + "/metrics.jsonl";
      TrainResult trained;
      if (!train_one(arm, recipe, "speed", trained)) return stop();
      for (const json& line : lines_of(path)) {
        if (line.contains("tokens_per_second"))
          speed.push_back(line.value("tokens_per_second", 0.0) / static_cast<double>(recipe.train.batch) /
                          static_cast<double>(recipe.model.context));
      }
    }
    const auto reference = static_cast<std::size_t>(&result_.reference_arm() - result_.arms.data());
    require(speed.size() == result_.arms.size() && speed[reference] > 0, "[compare] {} holds no measured speeds",
            options_.out);
    const int64_t steps = result_.arms[reference].recipe.train.steps;
    for (std::size_t i = 0; i < speed.size(); ++i) {
      result_.arms[i].recipe.train.steps =
          std::max<int64_t>(1, std::llround(static_cast<double>(steps) * speed[i] / speed[reference]));
    }
  }

  void train_seed(ArmResult& arm, uint64_t seed) {
    Recipe recipe = arm.recipe;
    recipe.train.seed = seed;
    const std::string run = fmt::format("seed {}", seed);
    TrainResult trained;
    if (train_one(arm, recipe, run, trained))
      arm.runs.push_back(result_of(folder_of(arm, run), seed, trained));
    else
      stop();
  }

  void stop() { result_.stopped = true; }

  const Experiment& experiment_;
  const CompareOptions& options_;
  Comparison result_;
  int64_t done_ = 0, all_ = 0;
};

std::vector<double> losses(const ArmResult& arm) {
  std::vector<double> out;
  for (const RunResult& r : arm.runs) out.push_back(r.loss);
  return out;
}

json json_of(const Estimate& e) {
  return {{"mean", e.mean}, {"half_width_95", std::isfinite(e.half_width) ? json(e.half_width) : json(nullptr)}};
}

json json_of(const ArmResult& arm) {
  json tries = json::array(), runs = json::array();
  for (const RateTry& t : arm.tries)
    tries.push_back({{"lr", t.lr}, {"loss", std::isfinite(t.loss) ? json(t.loss) : json(nullptr)}});
  for (const RunResult& r : arm.runs)
    runs.push_back({{"seed", r.seed},
                    {"loss", r.loss},
                    {"bits_per_byte", r.bits_per_byte},
                    {"code_nonzero", r.nonzero},
                    {"seconds", r.seconds},
                    {"curve", r.curve}});
  return {{"name", arm.name},
          {"config", json::parse(to_json(arm.recipe.model))},
          {"parameters", arm.budget.parameters},
          {"training_flops_per_token", arm.budget.flops},
          {"mismatch", arm.mismatch},
          {"lr", arm.recipe.optimizer.lr},
          {"steps", arm.recipe.train.steps},
          {"tries", tries},
          {"runs", runs}};
}

}  // namespace

Estimate ArmResult::loss() const { return estimate(losses(*this)); }

const ArmResult& Comparison::reference_arm() const {
  const auto it = std::find_if(arms.begin(), arms.end(), [&](const ArmResult& a) { return a.name == reference; });
  require(it != arms.end(), "[compare] no arm '{}'", reference);
  return *it;
}

Estimate Comparison::difference(const ArmResult& arm) const {
  return paired_difference(losses(arm), losses(reference_arm()));
}

Comparison compare(const Experiment& experiment, const CompareOptions& options) {
  Comparison result = Comparer(experiment, options).run();
  if (!result.stopped) {
    write_atomically(options.out + "/results.json", to_json(result) + "\n");
    write_atomically(options.out + "/curves.svg", curves_svg(result));
  }
  return result;
}

std::string verdict(const Comparison& comparison, const ArmResult& arm) {
  const Estimate d = comparison.difference(arm);
  if (!std::isfinite(d.half_width))
    return fmt::format("{}: {:+.4f} nats a token against {} with one seed; nothing follows from one", arm.name, d.mean,
                       comparison.reference);
  const std::string numbers =
      fmt::format("{:.4f} +- {:.4f} nats a token (95 %, {} seeds)", std::abs(d.mean), d.half_width, arm.runs.size());
  if (std::abs(d.mean) <= d.half_width)
    return fmt::format("{} and {} cannot be told apart: {} {}", arm.name, comparison.reference, d.mean < 0 ? "-" : "+",
                       numbers);
  return fmt::format("{} is {} than {} by {}", arm.name, d.mean < 0 ? "better" : "worse", comparison.reference,
                     numbers);
}

std::string to_json(const Comparison& comparison) {
  json arms = json::array();
  for (const ArmResult& arm : comparison.arms) {
    json one = json_of(arm);
    if (!comparison.stopped) {
      one["loss"] = json_of(arm.loss());
      if (arm.name != comparison.reference) {
        one["difference"] = json_of(comparison.difference(arm));
        one["verdict"] = verdict(comparison, arm);
      }
    }
    arms.push_back(one);
  }
  return json{{"reference", comparison.reference},
              {"match", name_of(comparison.match)},
              {"stopped", comparison.stopped},
              {"arms", arms}}
      .dump();
}

std::string curves_svg(const Comparison& comparison) {
  Chart chart{"validation loss", "steps", "nats a token", {}, false};
  for (const ArmResult& arm : comparison.arms) {
    Line line{arm.name, arm.runs.front().curve};
    for (std::size_t i = 0; i < line.points.size(); ++i) {
      double sum = 0;
      for (const RunResult& r : arm.runs) sum += r.curve.at(i).second;
      line.points[i].second = sum / static_cast<double>(arm.runs.size());
    }
    chart.lines.push_back(std::move(line));
  }
  return svg_of(chart);
}

}  // namespace crate
