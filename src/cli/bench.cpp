// crate bench: end-to-end speed, beside what the machine can do at most.
#include "work/bench/bench.h"

#include <algorithm>
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
  int64_t dim = 0, layers = 0, heads = 0, context = 0, batch = 0;
  BenchOptions bench;
  std::string only;
};

// A preset by its whole name, or a family with --size; CRATE-S stands for the families of images.
ModelConfig config_of(const Options& o, const std::string& name) {
  const std::vector<std::string> known = preset_names();
  const bool whole = std::find(known.begin(), known.end(), name) != known.end();
  const bool images = !whole && is_family(name) && is_image(family_of(name)) && o.size == "bench";
  ModelConfig c = preset(whole ? name : name + "-" + (!images ? o.size : name == "crate-alpha" ? "s16" : "s"));
  if (o.dim > 0) c.dim = o.dim;
  if (o.layers > 0) c.layers = o.layers;
  if (o.heads > 0) c.heads = o.heads;
  if (o.context > 0) c.context = o.context;
  c.validate();
  return c;
}

struct Line {
  std::string what;
  SpeedOf speed;
};

class Table {
 public:
  explicit Table(const Options& o) : o_(o) {
    if (!o.json)
      fmt::print("{:<12} {:<5} {:<18} {:>9} {:>14} {:>9} {:>13}\n", "model", "dtype", "what", "ms", "tokens|images/s",
                 "GFLOP/s", "of f32 peak");
  }
  void add(const std::string& model, const Line& line, const MachinePeak& peak, double memory, const char* unit) {
    if (line.speed.ms == 0) return;  // not asked for
    const double share = line.speed.gflops / peak.f32_gflops;
    all_.push_back({{"model", model},
                    {"dtype", o_.dtype},
                    {"what", line.what},
                    {"ms", line.speed.ms},
                    {std::string(unit) + "_per_second", line.speed.per_second},
                    {"gflops", line.speed.gflops},
                    {"peak_share", share},
                    {"peak_gflops", peak.f32_gflops},
                    {"bandwidth_gbs", peak.bandwidth_gbs},
                    {"memory_bytes", memory}});
    if (o_.json) return;
    fmt::print("{:<12} {:<5} {:<18} {:>9.1f} {:>15.1f} {:>9.1f} {:>11.1f} %\n", model, o_.dtype, line.what,
               line.speed.ms, line.speed.per_second, line.speed.gflops, 100 * share);
    std::fflush(stdout);
  }
  void close_model(const MachinePeak& peak, double memory) const {
    if (o_.json) return;
    fmt::print("{:<12} machine now: {:.0f} GFLOP/s f32 products, {:.0f} GB/s; {} MB of memory in training\n", "",
               peak.f32_gflops, peak.bandwidth_gbs, static_cast<int64_t>(1e-6 * memory));
  }
  const nlohmann::json& all() const { return all_; }

 private:
  const Options& o_;
  nlohmann::json all_ = nlohmann::json::array();
};

// What was timed, in the order of the table, and the memory of the training.
std::vector<Line> lines_of(const Options& o, const ModelConfig& config, double& memory) {
  if (is_image(config.family)) {
    ImageBenchOptions options{.repeats = o.bench.repeats, .train_only = o.bench.train_only};
    if (o.batch > 0) {
      options.batches = {o.batch};
      options.train_batch = o.batch;
    }
    const ImageSpeed s = bench_images(config, o.device_options(o.dtype), options);
    memory = s.peak_memory_bytes;
    std::vector<Line> lines = {{fmt::format("training step, {}", options.train_batch), s.train}};
    for (const auto& [rows, speed] : s.forward) lines.push_back({fmt::format("forward, {}", rows), speed});
    return lines;
  }
  BenchOptions options = o.bench;
  if (o.batch > 0) options.batch = o.batch;
  const ModelSpeed s = bench_model(config, o.device_options(o.dtype), options);
  memory = s.peak_memory_bytes;
  return {{"training step", s.train}, {"forward", s.forward}, {"decode", s.decode}, {"explain", s.explain}};
}

void run(const Options& o) {
  Table table(o);
  for (const std::string& name : o.families) {
    const ModelConfig config = config_of(o, name);
    const MachinePeak before = measure_peak();
    double memory = 0;
    const std::vector<Line> lines = lines_of(o, config, memory);
    const MachinePeak after = measure_peak();
    const MachinePeak peak{std::max(before.f32_gflops, after.f32_gflops),
                           std::max(before.bandwidth_gbs, after.bandwidth_gbs)};
    for (const Line& line : lines) table.add(name, line, peak, memory, is_image(config.family) ? "images" : "tokens");
    table.close_model(peak, memory);
  }
  if (o.json) fmt::print("{}\n", nlohmann::json{{"results", table.all()}}.dump());
}

}  // namespace

void add_bench(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "bench", "end-to-end speed: training step, forward, decoding",
                            "crate bench crate-lm gpt2 --dtype bf16", *o);
  c->add_option("families", o->families, "families, or presets by their whole names")->capture_default_str();
  c->add_option("--size", o->size, "preset size: tiny, small, bench, ...")->capture_default_str();
  c->add_option("--dim", o->dim, "instead of the preset's");
  c->add_option("--layers", o->layers, "instead of the preset's");
  c->add_option("--heads", o->heads, "instead of the preset's");
  c->add_option("--context", o->context, "instead of the preset's");
  c->add_option("--batch", o->batch, "sequences (32), or images (forwards of 1, 8 and 32, training of 16)")
      ->check(positive());
  c->add_option("--repeats", o->bench.repeats, "after a warm-up; the median counts")
      ->capture_default_str()
      ->check(positive());
  c->add_option("--dtype", o->dtype, "f32, or what products read: bf16, int8")->capture_default_str();
  c->add_option("--only", o->only, "train: the training step alone; explain: one explanation alone")
      ->check(CLI::IsMember({"train", "explain"}));
  c->callback([o] {
    o->bench.train_only = o->only == "train";
    o->bench.explain_only = o->only == "explain";
    run(*o);
  });
}

}  // namespace crate::cli
