// crate compare: several models under one budget, and what the numbers say.
#include "work/compare/compare.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "cli/command.h"
#include "cli/interrupt.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string recipe, out;
  std::vector<std::string> set, controls;
  bool force = false;
};

std::string interval(const Estimate& e) {
  return std::isfinite(e.half_width) ? fmt::format("{:.4f} +- {:.4f}", e.mean, e.half_width)
                                     : fmt::format("{:.4f}", e.mean);
}

// Over the runs that did not diverge.
template <class F> double mean_of(const std::vector<RunResult>& runs, F&& value) {
  double sum = 0, count = 0;
  for (const RunResult& r : runs) {
    if (!std::isfinite(r.loss)) continue;
    sum += value(r);
    ++count;
  }
  return count > 0 ? sum / count : NAN;
}

double mean_nonzero(const std::vector<RunResult>& runs) {
  return 100 * mean_of(runs, [](const RunResult& r) { return r.nonzero; });
}

// Those of the runs' validation, without the count of what was validated on.
std::vector<std::string> metric_names(const Comparison& c) {
  std::vector<std::string> names;
  for (const auto& [name, value] : c.reference_arm().runs.front().metrics) {
    if (name != c.unit() + "s") names.push_back(name);
  }
  return names;
}

std::string metric_columns(const std::vector<std::string>& names, const std::vector<RunResult>& runs) {
  std::string out;
  for (const std::string& name : names)
    out += fmt::format(" {:>13.4f}", mean_of(runs, [&](const RunResult& r) { return value_of(r.metrics, name); }));
  return out;
}

void print_sizes(const Comparison& c) {
  fmt::print("{:<18} {:<10} {:>5} {:>6} {:>6} {:>11} {:>10}   matched by {}\n", "arm", "family", "dim", "layers",
             "atoms", "parameters", is_image(c.arms.front().recipe.model.family) ? "MFLOP/img" : "MFLOP/tok",
             name_of(c.match));
  for (const ArmResult& arm : c.arms) {
    const ModelConfig& m = arm.recipe.model;
    fmt::print("{:<18} {:<10} {:>5} {:>6} {:>6} {:>11.0f} {:>10.2f}   off by {:.2f} %\n", arm.name, name_of(m.family),
               m.dim, m.layers, m.n_atoms(), arm.budget.parameters, 1e-6 * arm.budget.flops, 100 * arm.mismatch);
  }
  fmt::print("\n");
  std::fflush(stdout);
}

void print_controls(const ArmResult& arm, const std::vector<std::string>& names) {
  for (const ControlResult& c : arm.controls) {
    ArmResult as_arm;
    as_arm.runs = c.runs;
    if (as_arm.diverged() == static_cast<int64_t>(c.runs.size())) continue;
    fmt::print("{:<18} {:>7} {:>9} {:>9} {:>19}{} {:>7.1f} %\n", fmt::format("  {}", name_of(c.control)), "", "", "",
               interval(as_arm.loss()), metric_columns(names, c.runs), mean_nonzero(c.runs));
  }
}

void print(const Comparison& c, const std::string& out) {
  const std::vector<std::string> names = metric_names(c);
  std::string titles;
  for (const std::string& name : names) titles += fmt::format(" {:>13}", name);
  fmt::print("\n{:<18} {:>7} {:>9} {:>9} {:>19}{} {:>9}\n", "arm", "steps", "lr", "seconds",
             fmt::format("nats/{} (95 %)", c.unit()), titles, "non-zero");
  for (const ArmResult& arm : c.arms) {
    const bool none = arm.diverged() == static_cast<int64_t>(arm.runs.size());
    fmt::print("{:<18} {:>7} {:>9.1e} {:>9.1f} {:>19}{} {:>7.1f} %{}\n", arm.name, arm.recipe.train.steps,
               arm.recipe.optimizer.lr, arm.seconds(), none ? "-" : interval(arm.loss()),
               metric_columns(names, arm.runs), mean_nonzero(arm.runs),
               arm.diverged() > 0 ? fmt::format("  {} of {} diverged", arm.diverged(), arm.runs.size()) : "");
    print_controls(arm, names);
  }
  fmt::print("\n");
  for (const ArmResult& arm : c.arms) {
    if (arm.name != c.reference) fmt::print("{}\n", verdict(c, arm));
  }
  for (const std::string& note : notes(c)) fmt::print("  ({})\n", note);
  fmt::print("\nnumbers in {}/results.json, curves in {}/curves.svg\n", out, out);
}

std::string left(double seconds) {
  if (seconds <= 0) return "";
  return seconds < 90 ? fmt::format(", about {:.0f} s left", seconds)
                      : fmt::format(", about {:.0f} min left", seconds / 60);
}

void show(CompareOptions& options, Progress& progress) {
  options.sized = print_sizes;
  options.started = [&](const CompareProgress& p) {
    progress.clear();
    fmt::print("run {} of {} ({:.0f} % done{}): {}\n", p.number, p.runs, 100 * p.done, left(p.seconds_left), p.run);
    std::fflush(stdout);
  };
  options.step = [&](const CompareProgress& p, const StepReport& r) {
    progress.show(fmt::format("[{}] {:.0f} %{}  {}  step {}/{}  loss {:.4f}  {} {}/s", bar(p.done, 20), 100 * p.done,
                              left(p.seconds_left), p.run, r.step, r.steps, r.loss, short_number(r.per_second),
                              r.unit));
  };
}

void run(const Options& o) {
  require(o.device == "cpu", "crate compare trains on --device cpu, came {}", o.device);
  const Interrupt interrupt;
  Experiment experiment = load_experiment(o.recipe, o.set);
  for (const std::string& name : o.controls) {
    const Control control = control_of(name, "--control");
    if (std::find(experiment.controls.begin(), experiment.controls.end(), control) == experiment.controls.end())
      experiment.controls.push_back(control);
  }
  CompareOptions options;
  options.out = o.out.empty() ? "out/" + std::filesystem::path(o.recipe).stem().string() : o.out;
  options.force = o.force;
  options.stop = &interrupt.requested();
  Progress progress;
  if (!o.json) show(options, progress);
  const Comparison result = compare(experiment, options);
  progress.clear();
  if (o.json)
    fmt::print("{}\n", to_json(result));
  else if (result.stopped)
    fmt::print("stopped; the same command continues\n");
  else
    print(result, options.out);
}

}  // namespace

void add_compare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "compare", "train several models under one budget and compare them",
                            "crate compare recipes/compare.toml --set train.steps=200 --out out/try", *o);
  c->add_option("experiment", o->recipe, "a TOML file with [compare] and [arm.NAME] sections; see recipes/compare.toml")
      ->required();
  c->add_option("--set", o->set, "section.key=value, for every arm; compare.key=value for [compare] (repeatable)")
      ->expected(1)
      ->take_all();
  c->add_option("--out", o->out, "folder of the experiment (default: out/NAME)");
  c->add_option("--control", o->controls, "untrained or rotated: also evaluate each arm so (repeatable)")
      ->expected(1)
      ->take_all();
  c->add_flag("--force", o->force, "start over although the folder holds another experiment");
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
