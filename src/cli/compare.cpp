// crate compare: several models under one budget, and what the numbers say.
#include "work/compare/compare.h"

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "cli/command.h"
#include "cli/interrupt.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string recipe, out;
  std::vector<std::string> set;
  bool force = false;
};

std::string interval(const Estimate& e) {
  return std::isfinite(e.half_width) ? fmt::format("{:.4f} +- {:.4f}", e.mean, e.half_width)
                                     : fmt::format("{:.4f}", e.mean);
}

template <class F> double mean_of(const ArmResult& arm, F&& value) {
  double sum = 0;
  for (const RunResult& r : arm.runs) sum += value(r);
  return sum / static_cast<double>(arm.runs.size());
}

void print(const Comparison& c, const std::string& out) {
  fmt::print("\n{:<18} {:>11} {:>9} {:>9} {:>7} {:>8} {:>19} {:>10} {:>9}\n", "arm", "parameters", "MFLOP/tok",
             "mismatch", "steps", "lr", "nats/token (95 %)", "bits/byte", "non-zero");
  for (const ArmResult& arm : c.arms) {
    fmt::print("{:<18} {:>11.0f} {:>9.2f} {:>8.2f}% {:>7} {:>8.1e} {:>19} {:>10.4f} {:>7.1f} %\n", arm.name,
               arm.budget.parameters, 1e-6 * arm.budget.flops, 100 * arm.mismatch, arm.recipe.train.steps,
               arm.recipe.optimizer.lr, interval(arm.loss()),
               mean_of(arm, [](const RunResult& r) { return r.bits_per_byte; }),
               100 * mean_of(arm, [](const RunResult& r) { return r.nonzero; }));
  }
  fmt::print("\n");
  for (const ArmResult& arm : c.arms) {
    if (arm.name != c.reference) fmt::print("{}\n", verdict(c, arm));
  }
  fmt::print("\nmatched by {}; numbers in {}/results.json, curves in {}/curves.svg\n", name_of(c.match), out, out);
}

void run(const Options& o) {
  require(o.device == "cpu", "crate compare trains on --device cpu, came {}", o.device);
  const Interrupt interrupt;
  const Experiment experiment = load_experiment(o.recipe, o.set);
  CompareOptions options;
  options.out = o.out.empty() ? "out/" + std::filesystem::path(o.recipe).stem().string() : o.out;
  options.force = o.force;
  options.stop = &interrupt.requested();
  Progress progress;
  std::string now;
  if (!o.json) {
    options.started = [&](const std::string& name, int64_t done, int64_t all) {
      progress.clear();
      now = fmt::format("[{}] {}", bar(static_cast<double>(done) / static_cast<double>(all), 20), name);
      fmt::print("run {} of {}: {}\n", done + 1, all, name);
      std::fflush(stdout);
    };
    options.step = [&](const StepReport& r) {
      progress.show(fmt::format("{}  step {}/{}  loss {:.4f}  {} {}/s", now, r.step, r.steps, r.loss,
                                short_number(r.per_second), r.unit));
    };
  }
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
  c->add_option("--set", o->set, "section.key=value, for every arm (repeatable)")->expected(1)->take_all();
  c->add_option("--out", o->out, "folder of the experiment (default: out/NAME)");
  c->add_flag("--force", o->force, "start over although the folder holds another experiment");
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
