// crate ops: the operator cases as tests, gradient checks and benchmarks.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "tensor/peak.h"
#include "testing/op_check.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string mode, name, dtype = "f32";
  int repeats = 9;
};

std::vector<OpCase> chosen(const Options& o) {
  std::vector<OpCase> out;
  for (OpCase& c : all_op_cases()) {
    if (o.name.empty() || c.op == o.name) out.push_back(std::move(c));
  }
  require(!out.empty(), "no operator '{}'", o.name);
  return out;
}

int check(const Options& o, CheckResult (*what)(const OpCase&), nlohmann::json& lines) {
  int failed = 0;
  for (const OpCase& c : chosen(o)) {
    if (c.bench_only || (!c.has_frozen_rule && o.mode == "frozen")) continue;
    const CheckResult r = what(c);
    failed += r.ok ? 0 : 1;
    lines.push_back({{"op", c.op}, {"case", c.name}, {"ok", r.ok}, {"detail", r.detail}});
    if (!o.json) fmt::print("{} {:<16} {:<28} {}\n", r.ok ? "ok  " : "FAIL", c.op, c.name, r.detail);
  }
  return failed;
}

// What this machine does at most, now.
struct Limit {
  double gflops, gbs;
  /// The least time that it allows, as a share of the time taken.
  double share(const Cost& cost, double ms) const {
    return 1e-6 * std::max(cost.flops / gflops, cost.bytes / gbs) / ms;
  }
};

Limit measure_limit(const std::string& dtype, const Limit& known = {0, 0}) {
  const MachinePeak peak = measure_peak();
  const double gflops = dtype == "bf16" ? measure_bf16_peak() : peak.f32_gflops;
  require(gflops > 0, "[ops] oneDNN has no {} products for this processor", dtype);
  return {std::max(gflops, known.gflops), std::max(peak.bandwidth_gbs, known.gbs)};
}

nlohmann::json direction(const Cost& cost, double ms, const Limit& limit) {
  return {{"ms", ms},
          {"gflops", 1e-6 * cost.flops / ms},
          {"gbs", 1e-6 * cost.bytes / ms},
          {"limit_share", limit.share(cost, ms)}};
}

nlohmann::json inputs_of(const OpCase& c) {
  nlohmann::json out = nlohmann::json::array();
  for (const OpInput& in : c.inputs) {
    nlohmann::json shape = nlohmann::json::array();
    for (int i = 0; i < in.shape.rank(); ++i) shape.push_back(in.shape[i]);
    out.push_back(
        {{"name", in.name}, {"shape", shape}, {"scale", in.scale}, {"offset", in.offset}, {"below", in.below}});
  }
  return out;
}

void bench(const Options& o, nlohmann::json& lines) {
  Limit limit = measure_limit(o.dtype);
  if (!o.json) {
    fmt::print(
        "this machine now: {:.0f} GFLOP/s {} products, {:.0f} GB/s; limit: what these allow, over the time taken\n",
        limit.gflops, o.dtype, limit.gbs);
    fmt::print("{:<20} {:<26} {:>9} {:>8} {:>6} {:>8} {:>9} {:>8} {:>6} {:>8}\n", "operator", "case", "ms", "GFLOP/s",
               "GB/s", "limit", "back ms", "GFLOP/s", "GB/s", "limit");
  }
  std::string last;
  for (const OpCase& c : chosen(o)) {
    if (!c.bench_only) continue;
    if (c.op != last) limit = measure_limit(o.dtype, limit);  // the machine may have been busy before
    last = c.op;
    const BenchResult r = bench_op(c, o.repeats, o.device_options(o.dtype));
    lines.push_back({{"op", c.op},
                     {"case", c.name},
                     {"dtype", o.dtype},
                     {"inputs", inputs_of(c)},
                     {"forward", direction(r.forward, r.forward_ms, limit)},
                     {"backward", direction(r.backward, r.backward_ms, limit)}});
    if (o.json) continue;
    fmt::print("{:<20} {:<26}", c.op, c.name);
    for (const auto& [cost, ms] : {std::pair(r.forward, r.forward_ms), std::pair(r.backward, r.backward_ms)})
      fmt::print(" {:>9.3f} {:>8.1f} {:>6.1f} {:>6.1f} %", ms, 1e-6 * cost.flops / ms, 1e-6 * cost.bytes / ms,
                 100 * limit.share(cost, ms));
    fmt::print("\n");
    std::fflush(stdout);
  }
}

void support(const Options& o, nlohmann::json& lines) {
  std::string last;
  for (const OpCase& c : chosen(o)) {
    if (c.op == last || c.bench_only) continue;
    last = c.op;
    nlohmann::json line = {{"op", c.op}};
    for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu, DeviceKind::cuda})
      line[name_of(kind)] = runs_on(c, kind);
    if (!o.json)
      fmt::print("{:<16} ref {:<4} cpu {:<4} cuda {}\n", c.op, line["ref"] ? "yes" : "no", line["cpu"] ? "yes" : "no",
                 line["cuda"] ? "yes" : "no");
    lines.push_back(line);
  }
}

void run(const Options& o) {
  nlohmann::json lines = nlohmann::json::array();
  int failed = 0;
  if (o.mode == "test")
    failed = check(o, check_values, lines);
  else if (o.mode == "grad")
    failed = check(o, check_gradients, lines);
  else if (o.mode == "frozen")
    failed = check(o, check_frozen, lines);
  else if (o.mode == "bench")
    bench(o, lines);
  else
    support(o, lines);
  if (o.json) fmt::print("{}\n", nlohmann::json{{"mode", o.mode}, {"failed", failed}, {"cases", lines}}.dump());
  require(failed == 0, "{} operator cases failed", failed);
}

}  // namespace

void add_ops(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "ops", "check and time the operators", "crate ops grad mssa", *o);
  c->add_option("mode", o->mode,
                "test: values, grad: gradients by complex step, frozen: the rules that explanations use, likewise, "
                "bench: times, support: devices")
      ->required()
      ->check(CLI::IsMember({"test", "grad", "frozen", "bench", "support"}));
  c->add_option("name", o->name, "one operator (default: all)");
  c->add_option("--repeats", o->repeats, "bench: runs, the median counts")->capture_default_str()->check(positive());
  c->add_option("--dtype", o->dtype, "bench: f32, or what products read: bf16")
      ->capture_default_str()
      ->check(CLI::IsMember({"f32", "bf16"}));
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
