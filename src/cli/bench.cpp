// crate bench: end-to-end speed, beside what the machine can do at most.
#include "work/bench/bench.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "cli/sized.h"
#include "tensor/peak.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::vector<std::string> families = {"crate-lm", "crate-gpt", "gpt2"};
  std::string dtype = "f32";
  Sized sized;
  int64_t batch = 0;
  BenchOptions bench;
  std::string only;
};

struct Line {
  std::string what;
  SpeedOf speed;
};

class Table {
 public:
  explicit Table(const Options& o) : o_(o) {
    if (!o.json && o.only != "memory")
      fmt::print("{:<12} {:<5} {:<18} {:>9} {:>14} {:>9} {:>13}\n", "model", "dtype", "what", "ms", "tokens|images/s",
                 "GFLOP/s", "of f32 peak");
  }
  void add(const std::string& model, const Line& line, const MachinePeak& peak, const TrainingMemory& memory,
           const char* unit) {
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
                    {"memory_bytes", memory.peak_bytes}});
    if (o_.json) return;
    fmt::print("{:<12} {:<5} {:<18} {:>9.1f} {:>15.1f} {:>9.1f} {:>11.1f} %\n", model, o_.dtype, line.what,
               line.speed.ms, line.speed.per_second, line.speed.gflops, 100 * share);
    std::fflush(stdout);
  }
  void close_model(const MachinePeak& peak, const TrainingMemory& memory) const {
    if (o_.json) return;
    fmt::print("{:<12} machine now: {:.0f} GFLOP/s f32 products, {:.0f} GB/s; {:.0f} MB of memory in training\n", "",
               peak.f32_gflops, peak.bandwidth_gbs, 1e-6 * memory.peak_bytes);
  }
  /// What a step of decoding reads, beside what the machine can read.
  void add_decode(const std::string& model, const DecodeSpeed& s, int64_t sequences, double read_gbs) {
    if (s.step.ms == 0) return;
    nlohmann::json& line = all_.back();
    line["sequences"] = sequences;
    line["fastest_ms"] = s.fastest_ms;
    line["bytes_a_step"] = s.bytes;
    line["gbs"] = s.gbs();
    line["read_gbs"] = read_gbs;
    line["read_share"] = s.gbs() / read_gbs;
    line["codes"] = s.codes;
    if (o_.json) return;
    fmt::print("{:<12} {:<5} a step reads {:.1f} MB: {:.1f} GB/s, {:.0f} % of the {:.0f} GB/s that can be read now",
               model, o_.dtype, 1e-6 * s.bytes, s.gbs(), 100 * s.gbs() / read_gbs, read_gbs);
    fmt::print("{}\n", s.codes > 0 ? fmt::format("; {:.1f} % of the codes are not zero", 100 * s.codes) : "");
  }
  /// Of training steps alone, in a process that did nothing before: what a peer's process can be compared with.
  void add_memory(const std::string& model, const TrainingMemory& memory, int64_t tokens, int64_t layers) {
    const double each = memory.per_token_and_layer(tokens, layers);
    all_.push_back({{"model", model},
                    {"dtype", o_.dtype},
                    {"what", "memory of training steps"},
                    {"memory_bytes", memory.peak_bytes},
                    {"state_bytes", memory.state_bytes},
                    {"resident_bytes", memory.resident_bytes},
                    {"bytes_per_token_and_layer", each}});
    if (o_.json) return;
    fmt::print(
        "{:<12} {:<5} {:.0f} MB in training steps: {:.0f} MB of state, {:.0f} bytes a token and layer; the "
        "process grew by {:.0f} MB\n",
        model, o_.dtype, 1e-6 * memory.peak_bytes, 1e-6 * memory.state_bytes, each, 1e-6 * memory.resident_bytes);
  }
  const nlohmann::json& all() const { return all_; }

 private:
  const Options& o_;
  nlohmann::json all_ = nlohmann::json::array();
};

struct Measured {
  std::vector<Line> lines;  // in the order of the table
  TrainingMemory memory;
  int64_t tokens = 0;  // a training step
  DecodeSpeed decode = {};
};

Measured measure(const Options& o, const ModelConfig& config) {
  if (is_image(config.family)) {
    ImageBenchOptions options{.part = o.bench.part, .repeats = o.bench.repeats};
    if (o.batch > 0) {
      options.batches = {o.batch};
      options.train_batch = o.batch;
    }
    const ImageSpeed s = bench_images(config, o.device_options(o.dtype), options);
    std::vector<Line> lines = {{fmt::format("training step, {}", options.train_batch), s.train}};
    for (const auto& [rows, speed] : s.forward) lines.push_back({fmt::format("forward, {}", rows), speed});
    return {lines, s.memory, options.train_batch * config.image.tokens()};
  }
  BenchOptions options = o.bench;
  if (o.batch > 0) options.batch = o.batch;
  const ModelSpeed s = bench_model(config, o.device_options(o.dtype), options);
  return {{{"training step", s.train}, {"forward", s.forward}, {"decode", s.decode.step}, {"explain", s.explain}},
          s.memory,
          options.batch * config.context,
          s.decode};
}

void bench_speed(const Options& o, Table& table, const std::string& name) {
  const ModelConfig config = o.sized.config(name);
  const MachinePeak before = measure_peak();
  const Measured m = measure(o, config);
  const MachinePeak after = measure_peak();
  const MachinePeak peak{std::max(before.f32_gflops, after.f32_gflops),
                         std::max(before.bandwidth_gbs, after.bandwidth_gbs),
                         std::max(before.read_gbs, after.read_gbs)};
  for (const Line& line : m.lines) {
    table.add(name, line, peak, m.memory, is_image(config.family) ? "images" : "tokens");
    if (line.what == "decode") table.add_decode(name, m.decode, o.bench.decode.sequences, peak.read_gbs);
  }
  table.close_model(peak, m.memory);
}

void run(const Options& o) {
  require(o.bench.decode.codes == 0 || o.only == "decode", "--codes needs --only decode: it sets thresholds");
  Table table(o);
  if (o.only == "memory") {
    require(o.families.size() == 1,
            "--only memory asks for one family, came {}: what a process held at most is not "
            "forgotten",
            o.families.size());
    const ModelConfig config = o.sized.config(o.families[0]);
    const Measured m = measure(o, config);
    table.add_memory(o.families[0], m.memory, m.tokens, config.layers);
  } else {
    for (const std::string& name : o.families) bench_speed(o, table, name);
  }
  if (o.json) fmt::print("{}\n", nlohmann::json{{"results", table.all()}}.dump());
}

}  // namespace

void add_bench(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "bench", "end-to-end speed: training step, forward, decoding",
                            "crate bench crate-lm gpt2 --dtype bf16", *o);
  c->add_option("families", o->families, "families, or presets by their whole names")->capture_default_str();
  o->sized.add_options(*c);
  c->add_option("--batch", o->batch, "sequences (32), or images (forwards of 1, 8 and 32, training of 16)")
      ->check(positive());
  c->add_option("--repeats", o->bench.repeats, "after a warm-up; the median counts")
      ->capture_default_str()
      ->check(positive());
  c->add_option("--decode-batch", o->bench.decode.sequences, "sequences that are decoded side by side")
      ->capture_default_str()
      ->check(positive());
  c->add_option("--decode-tokens", o->bench.decode.tokens, "steps of decoding, from an empty cache on")
      ->capture_default_str()
      ->check(positive());
  c->add_option("--codes", o->bench.decode.codes,
                "with --only decode: share of a wide dictionary's codes that are not zero, by its thresholds")
      ->check(CLI::Range(0.0, 1.0));
  c->add_option("--dtype", o->dtype, "f32, or what products read: bf16, int8")->capture_default_str();
  c->add_option("--only", o->only,
                "train: the training step; forward: one forward; decode: tokens one by one; explain: one explanation; "
                "memory: what training steps "
                "of one family hold at most")
      ->check(CLI::IsMember({"train", "forward", "decode", "explain", "memory"}));
  c->callback([o] {
    o->bench.part = o->only == "train" || o->only == "memory" ? BenchPart::train
                    : o->only == "forward"                    ? BenchPart::forward
                    : o->only == "decode"                     ? BenchPart::decode
                    : o->only == "explain"                    ? BenchPart::explain
                                                              : BenchPart::all;
    run(*o);
  });
}

}  // namespace crate::cli
