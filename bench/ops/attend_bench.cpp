// attend_bench: bidirectional attention with q = k = v of one head on one core, in the symmetric form and in the
// general (flash-style) form, side by side: `general_over_symmetric` is how many times as long the general form takes.
// The two run in turns within an iteration, so that a busy machine slows both; the reported time is that of the
// symmetric form.
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

  Head(std::ptrdiff_t n, std::ptrdiff_t p)
      : shape{n, n, p, 1.0 / std::sqrt(static_cast<double>(p)), false, 0},
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

  void forward(bool symmetric) {
    attend_kernels().forward(shape, queries(symmetric), rows(w), rows(w), {o.data(), shape.p}, lse.data(),
                             scratch.data());
  }
  void backward(bool symmetric) {
    const HeadOut<float> to{d_w.data(), shape.p};
    attend_kernels().backward(shape, {queries(symmetric), rows(w), rows(w), rows(o), rows(d_o), lse.data()},
                              {to, to, to}, scratch.data());
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

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"n", "p"})->ArgsProduct({{50, 64, 197, 256, 512, 1024, 4096}, {48, 64}});
  b->UseManualTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK(forward)->Apply(sizes);
BENCHMARK(backward)->Apply(sizes);

}  // namespace
}  // namespace crate
