// crate grow: how time and memory grow with one size, as a fitted exponent and a figure.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/sized.h"
#include "tensor/peak.h"
#include "work/bench/growth.h"
#include "work/draw/chart.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::vector<std::string> families = {"crate-lm", "gpt2"};
  std::string by = "tokens", dtype = "f32", out;
  Sized sized;
  GrowthOptions growth;
};

struct Grown {
  std::string model;
  std::vector<GrowthPoint> points;
  std::vector<GrowthCurve> curves;
};

double per_token_and_layer(const GrowthPoint& p) { return p.memory.per_token_and_layer(p.tokens, p.config.layers); }

bool is_decoding(const Options& o) { return o.growth.size == GrowingSize::codes; }

void print_training(const Options& o, const Grown& g, double peak_gflops) {
  fmt::print("{:>8} {:>12} {:>12} {:>12} {:>12} {:>9} {:>14}\n", o.by, "training ms", "of f32 peak", "forward ms",
             "of f32 peak", "MB", "B/token/layer");
  for (const GrowthPoint& p : g.points)
    fmt::print("{:>8} {:>12.2f} {:>10.1f} % {:>12.2f} {:>10.1f} % {:>9.1f} {:>14.0f}\n", p.value, p.train.ms,
               100 * p.train.gflops / peak_gflops, p.forward.ms, 100 * p.forward.gflops / peak_gflops,
               1e-6 * p.memory.peak_bytes, per_token_and_layer(p));
}

void print_decoding(const Grown& g) {
  fmt::print("{:>8} {:>12} {:>12} {:>12} {:>12}\n", "codes, %", "decoding ms", "tokens/s", "MB read", "GB/s");
  for (const GrowthPoint& p : g.points)
    fmt::print("{:>8.1f} {:>12.3f} {:>12.1f} {:>12.1f} {:>12.1f}\n", 100 * p.decode.codes, p.decode.step.ms,
               p.decode.step.per_second, 1e-6 * p.decode.bytes, p.decode.gbs());
}

void print(const Options& o, const Grown& g, double peak_gflops) {
  const ModelConfig& c = g.points.front().config;
  fmt::print("{} by {}, {}: dim {}, {} layers, {} heads, {} tokens in {} at first\n", g.model, o.by, o.dtype, c.dim,
             c.layers, c.heads, g.points.front().tokens, g.points.front().batch);
  if (is_decoding(o))
    print_decoding(g);
  else
    print_training(o, g, peak_gflops);
  for (const GrowthCurve& curve : g.curves)
    fmt::print("{:<9} grows as {}^{:.3f} +- {:.3f}, between the last two as ^{:.3f}\n", curve.name, o.by,
               curve.law.exponent, curve.law.error, curve.law.last_exponent);
}

nlohmann::json row_of(const Options& o, const GrowthPoint& p, double peak_gflops) {
  if (is_decoding(o))
    return {{o.by, p.value},
            {"share_of_codes", p.decode.codes},
            {"sequences", p.batch},
            {"decode_ms", p.decode.step.ms},
            {"tokens_per_second", p.decode.step.per_second},
            {"bytes_a_step", p.decode.bytes}};
  return {{o.by, p.value},
          {"batch", p.batch},
          {"tokens_a_step", p.tokens},
          {"train_ms", p.train.ms},
          {"train_peak_share", p.train.gflops / peak_gflops},
          {"forward_ms", p.forward.ms},
          {"forward_peak_share", p.forward.gflops / peak_gflops},
          {"memory_bytes", p.memory.peak_bytes},
          {"state_bytes", p.memory.state_bytes},
          {"bytes_per_token_and_layer", per_token_and_layer(p)}};
}

nlohmann::json json_of(const Options& o, const Grown& g, double peak_gflops) {
  nlohmann::json rows = nlohmann::json::array(), fits = nlohmann::json::array();
  for (const GrowthPoint& p : g.points) rows.push_back(row_of(o, p, peak_gflops));
  for (const GrowthCurve& curve : g.curves)
    fits.push_back({{"what", curve.name},
                    {"factor", curve.law.factor},
                    {"exponent", curve.law.exponent},
                    {"error", curve.law.error},
                    {"last_exponent", curve.law.last_exponent}});
  const ModelConfig& c = g.points.front().config;
  return {{"model", g.model},   {"by", o.by},       {"dtype", o.dtype}, {"dim", c.dim},
          {"layers", c.layers}, {"heads", c.heads}, {"rows", rows},     {"fits", fits}};
}

// Time on the left, memory on the right, both axes logarithmic: a power law is a straight line.
std::string figure(const Options& o, const std::vector<Grown>& all) {
  const std::string x = is_decoding(o) ? "codes that are not zero, %" : o.by;
  Chart time{.title = fmt::format("time, {}", o.dtype), .x = x, .y = "ms", .lines = {}, .log_x = true, .log_y = true};
  Chart memory{.title = is_decoding(o) ? "what a token reads" : "memory of training",
               .x = x,
               .y = "MB",
               .lines = {},
               .log_x = true,
               .log_y = true};
  for (const Grown& g : all) {
    for (const GrowthCurve& curve : g.curves) {
      Line line{.name = fmt::format("{} {} ^{:.2f}", g.model, curve.name, curve.law.exponent),
                .points = curve.points,
                .dots = true};
      if (!curve.is_bytes) {
        time.lines.push_back(line);
        continue;
      }
      for (auto& [x, bytes] : line.points) bytes *= 1e-6;
      memory.lines.push_back(line);
    }
  }
  return svg_of({time, memory});
}

void run(Options& o) {
  o.growth.size = growing_size(o.by);
  std::optional<AtomicFile> out;  // opened now: what takes minutes must not end with a folder that is not there
  if (!o.out.empty()) out.emplace(o.out);
  Progress progress;
  std::vector<Grown> all;
  nlohmann::json results = nlohmann::json::array();
  double peak = measure_peak().f32_gflops;
  for (const std::string& name : o.families) {
    Grown g{name, {}, {}};
    g.points = measure_growth(o.sized.config(name), o.device_options(o.dtype), o.growth, [&](int round, int64_t value) {
      progress.show(fmt::format("{}: {} {}, round {} of {}", name, o.by, value, round + 1, o.growth.rounds));
    });
    g.curves = curves_of(g.points);
    peak = std::max(peak, measure_peak().f32_gflops);  // the machine may have been busy before
    progress.clear();
    if (!o.json) print(o, g, peak);
    results.push_back(json_of(o, g, peak));
    all.push_back(std::move(g));
  }
  if (out) {
    out->write(figure(o, all));
    out->commit();
  }
  if (o.json) fmt::print("{}\n", nlohmann::json{{"peak_gflops", peak}, {"results", results}}.dump());
}

}  // namespace

void add_grow(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "grow", "how time and memory grow with one size of a model",
                            "crate grow crate-lm gpt2 --by tokens -o tokens.svg", *o);
  c->add_option("families", o->families, "families, or presets by their whole names")->capture_default_str();
  c->add_option("--by", o->by, "tokens, width, depth, batch, vocab, atoms, or codes (of decoding): what grows")
      ->capture_default_str();
  c->add_option("--values", o->growth.values, "the sizes, rising, three or more; the usual ones otherwise")
      ->delimiter(',')
      ->check(positive());
  o->sized.add_options(*c);
  c->add_option("--batch", o->growth.batch, "sequences or images a step (8; 1 where tokens or codes grow)")
      ->check(positive());
  c->add_option("--repeats", o->growth.repeats, "a round, after a warm-up; their median counts")
      ->capture_default_str()
      ->check(positive());
  c->add_option("--rounds", o->growth.rounds, "over all sizes; the fastest counts")
      ->capture_default_str()
      ->check(positive());
  c->add_option("--dtype", o->dtype, "f32, or what products read: bf16, int8")->capture_default_str();
  c->add_option("-o", o->out, "an SVG figure");
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
