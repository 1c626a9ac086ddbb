// ops_bench: the operator cases that are made for timing, forward and backward apart, and the optimisers, under Google
// Benchmark. The cases are those of `crate ops bench`. Counters: what an operator does and moves at least (its declared
// cost) a second, and both as shares of what this machine does at most, measured when the program starts.
//
//   build/bin/ops_bench --benchmark_filter=ista                   f32
//   build/bin/ops_bench --dtype=bf16 --benchmark_filter=linear    products read bf16
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "ops/muon.h"
#include "ops/optimiser.h"
#include "tensor/peak.h"
#include "testing/op_check.h"

namespace crate {
namespace {

struct Limit {
  double gflops, gbs;
};

// Counters of `state` when one iteration costs `cost`.
void count(benchmark::State& state, const Cost& cost, const Limit& limit, double seconds) {
  const double each = static_cast<double>(state.iterations()) / seconds;
  state.counters["GFLOP/s"] = 1e-9 * cost.flops * each;
  state.counters["GB/s"] = 1e-9 * cost.bytes * each;
  state.counters["of_peak"] = 1e-9 * cost.flops * each / limit.gflops;
  state.counters["of_bandwidth"] = 1e-9 * cost.bytes * each / limit.gbs;
}

void time_case(benchmark::State& state, const OpCase& c, const DeviceOptions& device, const Limit& limit,
               bool backward) {
  OpTimer timer(c, device);
  timer.once(backward);
  Cost cost;
  double seconds = 0;
  for ([[maybe_unused]] auto iteration : state) {
    const BenchResult r = timer.once(backward);
    const double s = 1e-3 * (backward ? r.backward_ms : r.forward_ms);
    cost = backward ? r.backward : r.forward;
    seconds += s;
    state.SetIterationTime(s);
  }
  count(state, cost, limit, seconds);
}

void add_cases(const DeviceOptions& device, const Limit& limit) {
  for (OpCase& c : all_op_cases()) {
    if (!c.bench_only) continue;
    for (const bool backward : {false, true}) {
      const std::string name =
          fmt::format("{}/{}/{}/{}", c.op, c.name, name_of(device.products), backward ? "backward" : "forward");
      benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& s) { time_case(s, c, device, limit, backward); })
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

// What a step of an optimiser works on: small numbers, moments that began at 0.
class Weights {
 public:
  explicit Weights(Shape shape)
      : value(filled(shape, 0.02)), grad(filled(shape, 1e-3)), m(filled(shape, 0)), v(filled(shape, 0)) {}
  Device device;
  Tensor value, grad, m, v;

 private:
  Tensor filled(Shape shape, double size) {
    const Tensor t = device.allocate(shape);
    for (int64_t i = 0; i < t.numel(); ++i)
      t.as<float>()[i] = static_cast<float>(size * std::sin(0.1 * static_cast<double>(i % 9973)));
    return t;
  }
};

template <class Step>
void time_step(benchmark::State& state, Shape shape, const Cost& cost, const Limit& limit, Step step) {
  Weights w(shape);
  step(w);
  double seconds = 0;
  for ([[maybe_unused]] auto iteration : state) {
    const auto start = std::chrono::steady_clock::now();
    step(w);
    const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    seconds += s;
    state.SetIterationTime(s);
  }
  count(state, cost, limit, seconds);
}

template <class Step> void add_step(const char* name, Shape shape, const Cost& cost, const Limit& limit, Step step) {
  benchmark::RegisterBenchmark(name, [=](benchmark::State& s) { time_step(s, shape, cost, limit, step); })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

void add_optimisers(const Limit& limit) {
  const double n = 10e6, rows = 768, cols = 3072, matrix = rows * cols;
  add_step("adamw/10M", {10'000'000}, {.flops = 14 * n, .bytes = 28 * n}, limit, [](Weights& w) {
    adamw_step(w.device, {w.value, w.grad, w.m, w.v}, {});
  });
  add_step("lion/10M", {10'000'000}, {.flops = 9 * n, .bytes = 20 * n}, limit, [](Weights& w) {
    lion_step(w.device, {w.value, w.grad, w.m}, {});
  });
  // The least that is known to do: all but two products on the Gram matrix (muon.cpp).
  const double products = 34 * rows * rows * rows + 4 * rows * matrix;
  add_step("muon/768_3072", {768, 3072}, {.flops = products, .bytes = 20 * matrix}, limit, [](Weights& w) {
    muon_step(w.device, {w.value, w.grad, w.m}, {});
  });
}

// Takes `--dtype=..` out of the arguments: the library refuses what it does not know.
std::string take_dtype(int& count, char** arguments) {
  std::string dtype = "f32";
  int kept = 1;
  for (int i = 1; i < count; ++i) {
    if (std::strncmp(arguments[i], "--dtype=", 8) == 0)
      dtype = arguments[i] + 8;
    else
      arguments[kept++] = arguments[i];
  }
  count = kept;
  return dtype;
}

void run(int count, char** arguments) {
  const DeviceOptions device{.products = products_named(take_dtype(count, arguments))};
  const MachinePeak peak = measure_peak();
  const Limit limit{device.products == Products::f32 ? peak.f32_gflops : measure_bf16_peak(), peak.bandwidth_gbs};
  require(limit.gflops > 0, "oneDNN has no {} products for this processor", name_of(device.products));
  benchmark::AddCustomContext("products_gflops", fmt::format("{:.0f}", limit.gflops));
  benchmark::AddCustomContext("bandwidth_gbs", fmt::format("{:.1f}", limit.gbs));
  add_cases(device, limit);
  add_optimisers(limit);
  benchmark::Initialize(&count, arguments);
  require(!benchmark::ReportUnrecognizedArguments(count, arguments), "see --help");
  benchmark::RunSpecifiedBenchmarks();
}

}  // namespace
}  // namespace crate

int main(int count, char** arguments) {
  try {
    crate::run(count, arguments);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "ops_bench: error: %s\n", e.what());
    return 1;
  }
  return 0;
}
