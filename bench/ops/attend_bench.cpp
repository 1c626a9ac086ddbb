// attend_bench: bidirectional attention with q = k = v of one head on one core, in the symmetric form and in the
// general (flash-style) form, side by side: `general_over_symmetric` is how many times as long the general form takes.
// The two run in turns within an iteration, so that a busy machine slows both; the reported time is that of the
// symmetric form. `narrow_..` compares the kernels whose products read bf16 with those in f32 in the same way.
#include <benchmark/benchmark.h>

#include <cmath>
#include <ctime>
#include <random>
#include <vector>

#include "ops/attend_core.h"

namespace crate {
namespace {

struct Head {
  AttendShape shape;
  std::vector<float> w, copy, d_o, o, lse, d_w, scratch;

  Head(std::ptrdiff_t n, std::ptrdiff_t p, bool causal = false)
      : shape{n, n, p, 1.0 / std::sqrt(static_cast<double>(p)), causal, 0},
        w(static_cast<std::size_t>(n * p)),
        d_o(w.size()),
        o(w.size()),
        lse(static_cast<std::size_t>(n)),
        d_w(w.size()),
        scratch(attend_scratch(shape)) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (float& x : w) x = normal(random);
    for (float& x : d_o) x = normal(random);
    copy = w;  // queries elsewhere than the keys: the kernel cannot know that they are equal
    forward(true);
  }

  HeadRows<float> rows(const std::vector<float>& x) const { return {x.data(), shape.p}; }
  HeadRows<float> queries(bool symmetric) const { return rows(symmetric ? w : copy); }

  void forward(bool symmetric, const AttendKernels<float>& kernels = attend_kernels()) {
    kernels.forward(shape, queries(symmetric), rows(w), rows(w), {o.data(), shape.p}, lse.data(), scratch.data());
  }
  void backward(bool symmetric, const AttendKernels<float>& kernels = attend_kernels()) {
    const HeadOut<float> to{d_w.data(), shape.p};
    kernels.backward(shape, {queries(symmetric), rows(w), rows(w), rows(o), rows(d_o), lse.data()}, {to, to, to},
                     scratch.data());
  }
};

/// Seconds of this thread's processor time.
template <class F> double seconds(F&& f) {
  const auto now = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  f();
  return now() - start;
}

template <class F> void compare(benchmark::State& state, F&& pass) {
  Head head(state.range(0), state.range(1));
  double symmetric = 0;
  double general = 0;
  for (auto _ : state) {
    const double time = seconds([&] { pass(head, true); });
    symmetric += time;
    general += seconds([&] { pass(head, false); });
    state.SetIterationTime(time);
  }
  state.counters["general_over_symmetric"] = general / symmetric;
}

void forward(benchmark::State& state) {
  compare(state, [](Head& head, bool symmetric) { head.forward(symmetric); });
}
void backward(benchmark::State& state) {
  compare(state, [](Head& head, bool symmetric) { head.backward(symmetric); });
}

/// f32 and bf16 products in turns; the reported time is that of bf16. The general form for `causal` alone.
template <class F> void compare_narrow(benchmark::State& state, F&& pass) {
  const AttendKernels<float>* narrow = attend_kernels_bf16();
  if (narrow == nullptr) return state.SkipWithError("this machine has no bf16 products");
  Head head(state.range(0), state.range(1), state.range(2) != 0);
  double narrow_time = 0;
  double f32_time = 0;
  for (auto _ : state) {
    f32_time += seconds([&] { pass(head, attend_kernels()); });
    const double time = seconds([&] { pass(head, *narrow); });
    narrow_time += time;
    state.SetIterationTime(time);
  }
  state.counters["f32_over_bf16"] = f32_time / narrow_time;
}

void narrow_forward(benchmark::State& state) {
  compare_narrow(state, [](Head& head, const AttendKernels<float>& kernels) { head.forward(true, kernels); });
}
void narrow_backward(benchmark::State& state) {
  compare_narrow(state, [](Head& head, const AttendKernels<float>& kernels) { head.backward(true, kernels); });
}

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"n", "p"})->ArgsProduct({{50, 64, 197, 256, 512, 1024, 4096}, {48, 64}});
  b->UseManualTime()->Unit(benchmark::kMicrosecond);
}

void narrow_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"n", "p", "causal"})->ArgsProduct({{50, 197, 256, 1024}, {48, 64}, {0, 1}});
  b->UseManualTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK(forward)->Apply(sizes);
BENCHMARK(backward)->Apply(sizes);
BENCHMARK(narrow_forward)->Apply(narrow_sizes);
BENCHMARK(narrow_backward)->Apply(narrow_sizes);

}  // namespace
}  // namespace crate
