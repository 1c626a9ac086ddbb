// crate bench: end-to-end speed, beside what the machine can do at most.
#include "work/bench/bench.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "model/presets.h"
#include "tensor/peak.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::vector<std::string> families = {"crate-lm", "crate-gpt", "gpt2"};
  std::string size = "bench", dtype = "f32";
  int64_t dim = 0, layers = 0, heads = 0, context = 0;
  BenchOptions bench;
  std::string only;
};

ModelConfig config_of(const Options& o, const std::string& family) {
  ModelConfig c = preset(family + "-" + o.size);
  if (o.dim > 0) c.dim = o.dim;
  if (o.layers > 0) c.layers = o.layers;
  if (o.heads > 0) c.heads = o.heads;
  if (o.context > 0) c.context = o.context;
  c.validate();
  return c;
}

nlohmann::json json_of(const char* what, const SpeedOf& s, const MachinePeak& peak) {
  return {{"what", what},
          {"ms", s.ms},
          {"tokens_per_second", s.tokens_per_second},
          {"gflops", s.gflops},
          {"peak_share", s.gflops / peak.f32_gflops}};
}

void run(const Options& o) {
  nlohmann::json all = nlohmann::json::array();
  if (!o.json)
    fmt::print("{:<10} {:<5} {:<14} {:>9} {:>12} {:>9} {:>13}\n", "model", "dtype", "what", "ms", "tokens/s", "GFLOP/s",
               "of f32 peak");
  for (const std::string& family : o.families) {
    const MachinePeak before = measure_peak();
    const ModelSpeed s = bench_model(config_of(o, family), o.device_options(o.dtype), o.bench);
    const MachinePeak after = measure_peak();
    const MachinePeak peak{std::max(before.f32_gflops, after.f32_gflops),
                           std::max(before.bandwidth_gbs, after.bandwidth_gbs)};
    const std::pair<const char*, const SpeedOf*> lines[] = {
        {"training step", &s.train}, {"forward", &s.forward}, {"decode", &s.decode}};
    for (const auto& [what, speed] : lines) {
      if (speed->ms == 0) continue;  // not asked for
      nlohmann::json line = json_of(what, *speed, peak);
      line.update({{"model", family},
                   {"dtype", o.dtype},
                   {"peak_gflops", peak.f32_gflops},
                   {"bandwidth_gbs", peak.bandwidth_gbs},
                   {"memory_bytes", s.peak_memory_bytes}});
      all.push_back(line);
      if (!o.json) {
        fmt::print("{:<10} {:<5} {:<14} {:>9.1f} {:>12.0f} {:>9.1f} {:>11.1f} %\n", family, o.dtype, what, speed->ms,
                   speed->tokens_per_second, speed->gflops, 100 * speed->gflops / peak.f32_gflops);
        std::fflush(stdout);
      }
    }
    if (!o.json) {
      fmt::print("{:<10} machine now: {:.0f} GFLOP/s f32 products, {:.0f} GB/s; {} MB of memory in training\n", "",
                 peak.f32_gflops, peak.bandwidth_gbs, static_cast<int64_t>(1e-6 * s.peak_memory_bytes));
    }
  }
  if (o.json) fmt::print("{}\n", nlohmann::json{{"results", all}}.dump());
}

}  // namespace

void add_bench(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "bench", "end-to-end speed: training step, forward, decoding",
                            "crate bench crate-lm gpt2 --dtype bf16", *o);
  c->add_option("families", o->families, "which models")->capture_default_str();
  c->add_option("--size", o->size, "preset size: tiny, small, bench, ...")->capture_default_str();
  c->add_option("--dim", o->dim, "instead of the preset's");
  c->add_option("--layers", o->layers, "instead of the preset's");
  c->add_option("--heads", o->heads, "instead of the preset's");
  c->add_option("--context", o->context, "instead of the preset's");
  c->add_option("--batch", o->bench.batch, "sequences")->capture_default_str()->check(CLI::PositiveNumber);
  c->add_option("--repeats", o->bench.repeats, "after a warm-up; the median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  c->add_option("--dtype", o->dtype, "f32, or bf16: products on bf16 inputs")->capture_default_str();
  c->add_option("--only", o->only, "train: the training step alone")->check(CLI::IsMember({"train"}));
  c->callback([o] {
    o->bench.train_only = o->only == "train";
    run(*o);
  });
}

}  // namespace crate::cli
