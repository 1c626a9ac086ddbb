// crate train: a recipe to a model directory.
#include "work/train/trainer.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/trace.h"
#include "model/presets.h"
#include "tensor/peak.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string recipe, out;
  std::vector<std::string> set;
  bool resume = false, force = false, trace = false;
};

// Shares are printed in per cent, under the names that people know.
std::string shown(const std::vector<Metric>& metrics) {
  std::string out;
  for (const auto& [name, value] : metrics) {
    if (name == "bits_per_byte")
      out += fmt::format("  {:.4f} bits/byte", value);
    else if (name == "top1" || name == "top5")
      out += fmt::format("  top-{} {:.2f} %", name.back(), 100 * value);
    else if (name == "waiting")
      out += fmt::format("  waiting for data {:.1f} %", 100 * value);
    else if (name == "left_out")
      out += fmt::format("  {:.0f} damaged left out", value);
    else if (name != "tokens" && name != "images")
      out += fmt::format("  {} {:.4f}", name, value);
  }
  return out;
}

std::string line_of(const StepReport& r) {
  return fmt::format("[{}] step {}/{}  loss {:.4f}{}  {} {}/s  {:.0f} % of peak  codes {:.1f} %  lr {:.2e}",
                     bar(static_cast<double>(r.step) / static_cast<double>(r.steps), 20), r.step, r.steps, r.loss,
                     shown(r.metrics), short_number(r.per_second), r.unit, 100 * r.peak_share, 100 * r.code_nonzero,
                     r.lr);
}

// Warns of half-steps that work against their objective, each when it begins to.
class LayerWarnings {
 public:
  void tell(int64_t step, const Measurement& m, Progress& progress) {
    std::set<std::string> now;
    for (const LayerWarning& warning : warnings_of(m)) {
      now.insert(warning.step);
      if (known_.contains(warning.step)) continue;
      progress.clear();
      fmt::print(stderr, "step {:>6}  {}\n", step, warning.text);
    }
    known_ = std::move(now);
  }

 private:
  std::set<std::string> known_;
};

void run(const Options& o, bool seed_given) {
  const Interrupt interrupt;  // first: before the pool has threads
  std::vector<std::string> set = o.set;
  if (seed_given) set.push_back(fmt::format("train.seed={}", o.seed));
  const Recipe recipe = load_recipe(o.recipe, set);
  TrainOptions options;
  options.out =
      o.out.empty() ? "out/" + std::filesystem::path(o.recipe).stem().string() + "-" + called(recipe.model) : o.out;
  options.resume = o.resume;
  options.force = o.force;
  options.device = device_kind(o.device);
  options.peak_gflops = options.device == DeviceKind::cpu ? measure_peak().f32_gflops : 0;
  options.stop = &interrupt.requested();
  if (o.trace) options.observer.traced = print_trace;
  Progress progress;
  LayerWarnings warnings;
  options.observer.measured = [&](int64_t step, const Measurement& m) { warnings.tell(step, m, progress); };
  options.observer.left_out = [&progress](int64_t step, const std::string& why) {
    progress.clear();
    fmt::print(stderr, "step {:>6}  left out: {}\n", step, why);
  };
  if (!o.json) {
    fmt::print("{} from {} into {}\n", bold(called(recipe.model)), o.recipe, options.out);
    options.observer.step = [&progress](const StepReport& r) { progress.show(line_of(r)); };
    options.observer.evaluated = [&progress](int64_t step, const Validation& v, bool averaged) {
      progress.clear();
      const std::string codes =
          v.code_nonzero.empty() ? "" : fmt::format("  non-zero codes {:.1f} %", 100 * v.mean_nonzero());
      fmt::print("step {:>6}  {} {:.4f}{}{}\n", step, averaged ? "averaged weights" : "validation", v.loss,
                 shown(v.metrics), codes);
      std::fflush(stdout);
    };
  }
  const TrainResult result = train(recipe, options);
  progress.clear();
  if (o.json) {
    nlohmann::json all = {{"model", options.out},
                          {"step", result.step},
                          {"stopped", result.stopped},
                          {"loss", result.last.loss},
                          {"validation_loss", result.validation.loss},
                          {std::string(result.last.unit) + "_per_second", result.last.per_second},
                          {"peak_share", result.last.peak_share},
                          {"code_nonzero", result.last.code_nonzero},
                          {"seconds", result.last.seconds}};
    for (const auto& [name, value] : result.validation.metrics)
      if (name != result.last.unit) all[name] = value;
    for (const auto& [name, value] : result.averaged.metrics)
      if (name != result.last.unit) all["ema_" + name] = value;
    fmt::print("{}\n", all.dump());
    return;
  }
  if (result.stopped)
    fmt::print("stopped at step {}; continue with --resume\n", result.step);
  else
    fmt::print("done: {} steps, {} {}/s at the end, model in {}\n", result.step, short_number(result.last.per_second),
               result.last.unit, options.out);
}

}  // namespace

void add_train(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "train", "train a model from a recipe",
                            "crate train recipes/shakespeare.toml --set train.steps=200 --out out/try", *o);
  c->add_option("recipe", o->recipe, "a TOML recipe; see recipes/")->required();
  c->add_option("--set", o->set, "section.key=value, over the recipe (repeatable)")->expected(1)->take_all();
  c->add_option("--out", o->out, "model directory (default: out/RECIPE-FAMILY)");
  c->add_flag("--resume", o->resume, "continue what the directory holds; start when it is empty");
  c->add_flag("--force", o->force, "start over although the directory holds a model");
  c->add_flag("--trace", o->trace, "print every operator of the first step: shape, time, flops, bytes");
  c->callback([o, c] { run(*o, c->count("--seed") > 0); });
}

}  // namespace crate::cli
