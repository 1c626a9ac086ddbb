// crate ops: the operator cases as tests, gradient checks and benchmarks.
#include <fnmatch.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "testing/op_check.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string mode, name;
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

void bench(const Options& o, nlohmann::json& lines) {
  if (!o.json) {
    fmt::print("{:<16} {:<28} {:>10} {:>9} {:>8} {:>10} {:>9} {:>8}\n", "operator", "case", "ms", "GFLOP/s", "GB/s",
               "back ms", "GFLOP/s", "GB/s");
  }
  for (const OpCase& c : chosen(o)) {
    if (!c.bench_only) continue;
    const BenchResult r = bench_op(c, o.repeats);
    lines.push_back({{"op", c.op},
                     {"case", c.name},
                     {"forward_ms", r.forward_ms},
                     {"backward_ms", r.backward_ms},
                     {"forward_gflops", 1e-6 * r.forward.flops / r.forward_ms},
                     {"backward_gflops", 1e-6 * r.backward.flops / r.backward_ms}});
    if (o.json) continue;
    fmt::print("{:<16} {:<28} {:>10.3f} {:>9.1f} {:>8.1f} {:>10.3f} {:>9.1f} {:>8.1f}\n", c.op, c.name, r.forward_ms,
               1e-6 * r.forward.flops / r.forward_ms, 1e-6 * r.forward.bytes / r.forward_ms, r.backward_ms,
               1e-6 * r.backward.flops / r.backward_ms, 1e-6 * r.backward.bytes / r.backward_ms);
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
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
