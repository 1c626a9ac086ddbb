#include "testing/op_check.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "tensor/gemm.h"

namespace crate {
namespace {

constexpr double complex_tolerance = 1e-12;
constexpr double step = 1e-40;  // the complex step: no cancellation, so it can be this small

double draw(const OpInput& in, std::size_t input, int64_t i) {
  const Rng rng(17, Stream::test);
  const auto at = static_cast<uint64_t>(i);
  if (in.below > 0) return static_cast<double>(rng.below(static_cast<uint64_t>(in.below), input, at));
  return static_cast<float>(in.offset + in.scale * rng.normal(input, at));  // the same numbers in f32 and f64
}

void set(const Tensor& t, int64_t i, std::complex<double> v) {
  switch (t.dtype) {
    case Dtype::f32:
      t.as<float>()[i] = static_cast<float>(v.real());
      return;
    case Dtype::f64:
      t.as<double>()[i] = v.real();
      return;
    case Dtype::c128:
      t.as<std::complex<double>>()[i] = v;
      return;
    case Dtype::i32:
      t.as<int32_t>()[i] = static_cast<int32_t>(v.real());
      return;
    default:
      fail("[op_check] no inputs of dtype {}", name_of(t.dtype));
  }
}

std::complex<double> get(const Tensor& t, int64_t i) {
  if (t.dtype == Dtype::f32) return t.as<float>()[i];
  if (t.dtype == Dtype::f64) return t.as<double>()[i];
  return t.as<std::complex<double>>()[i];
}

// One device, the inputs of a case as parameters on it, and the ways to run the case there.
class Bed {
 public:
  Bed(const OpCase& c, DeviceOptions options, bool frozen = false) : case_(c), device_(options), frozen_(frozen) {
    for (std::size_t k = 0; k < c.inputs.size(); ++k) {
      const OpInput& in = c.inputs[k];
      Param p{in.name, device_.allocate(in.shape, in.below > 0 ? Dtype::i32 : device_.real()), {}, false, false};
      for (int64_t i = 0; i < in.shape.numel(); ++i) set(p.value, i, draw(in, k, i));
      if (in.grad && in.below == 0) p.grad = device_.allocate(in.shape);
      params_.push_back(p);
    }
    poison();
  }

  Device& device() { return device_; }
  std::vector<Param>& params() { return params_; }

  Tensor build(Run& run) {
    std::vector<Tensor> in;
    for (Param& p : params_) in.push_back(p.grad ? run.param(p) : p.value);
    return case_.build(run, in);
  }

  std::vector<std::complex<double>> values() {
    Run run(device_, {.frozen = frozen_});
    const Tensor y = build(run);
    std::vector<std::complex<double>> out;
    for (int64_t i = 0; i < y.numel(); ++i) out.push_back(get(y, i));
    return out;
  }

  // sum of cotangent * output: the scalar whose gradient is checked.
  std::complex<double> projected() {
    const auto y = values();
    std::complex<double> sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += cotangent(i) * y[i];
    return sum;
  }

  void backward() {
    Run run(device_, {.record = true, .frozen = frozen_});
    const Tensor y = build(run);
    const GradTo d_y = run.seed_grad(y);
    for (int64_t i = 0; i < y.numel(); ++i) set(d_y.to, i, cotangent(static_cast<std::size_t>(i)));
    run.walk();
    left_ = {};
    for (const Constant& constant : run.constants()) {
      for (const double row : constant.rows) left_.add(row);
    }
  }

  /// A sum, and that of the absolute values.
  struct Sum {
    double total = 0, size = 0;
    void add(double x) {
      total += x;
      size += std::abs(x);
    }
  };
  /// After a frozen backward(): sum of gradient . input and of the constants.
  Sum explained() const {
    Sum sum = left_;
    for (const Param& p : params_)
      for (int64_t i = 0; p.has_grad && i < p.value.numel(); ++i) sum.add((get(p.grad, i) * get(p.value, i)).real());
    return sum;
  }

 private:
  double cotangent(std::size_t i) const {
    return case_.is_loss ? 1.0 : static_cast<float>(Rng(23, Stream::test).normal(0, i));
  }
  void poison() {
    for (Param& p : params_)
      for (int64_t i = 0; p.grad && i < p.grad.numel(); ++i) set(p.grad, i, std::numeric_limits<double>::quiet_NaN());
  }

  const OpCase& case_;
  Device device_;
  std::vector<Param> params_;
  bool frozen_;
  Sum left_ = {};
};

struct Norms {
  double error = 0, size = 0;
  double relative() const { return size > 0 ? error / size : error; }
};

template <class A, class B> Norms compare(int64_t n, A&& a, B&& b) {
  double error = 0, size = 0;
  for (int64_t i = 0; i < n; ++i) {
    error += std::norm(a(i) - b(i));
    size += std::norm(b(i));
  }
  return {std::sqrt(error), std::sqrt(size)};
}

void note(CheckResult& r, bool ok, const std::string& line) {
  if (ok && !r.ok) return;
  if (!ok && r.ok)
    r = {false, line};
  else
    r.detail += (r.detail.empty() ? "" : "; ") + line;
}

// d/dh of the projected output along `direction` of input k, by the complex step.
double directional(const OpCase& c, std::size_t k, const std::vector<double>& direction, bool frozen) {
  Bed bed(c, {.kind = DeviceKind::ref, .complex = true}, frozen);
  const Tensor x = bed.params()[k].value;
  for (int64_t i = 0; i < x.numel(); ++i)
    set(x, i, get(x, i) + std::complex<double>(0, step * direction[static_cast<std::size_t>(i)]));
  return bed.projected().imag() / step;
}

void check_complex_step(const OpCase& c, Bed& ref, std::size_t k, CheckResult& r, bool frozen = false) {
  const Param& p = ref.params()[k];
  const int64_t n = p.value.numel();
  double size = 0;
  for (int64_t i = 0; i < n; ++i) size += std::norm(get(p.grad, i));
  size = std::sqrt(size);
  constexpr int directions = 6;
  double worst = 0;
  for (int d = 0; d < directions; ++d) {
    std::vector<double> direction(static_cast<std::size_t>(n), 0.0);
    const Rng rng(31, Stream::test);
    double expected = 0;
    if (d % 2 == 0) {  // a random direction sees every entry, a single entry sees no cancellation between them
      for (int64_t i = 0; i < n; ++i)
        direction[static_cast<std::size_t>(i)] = rng.normal(static_cast<uint64_t>(d), static_cast<uint64_t>(i));
    } else {
      direction[rng.below(static_cast<uint64_t>(n), 99, static_cast<uint64_t>(d))] = 1.0;
    }
    for (int64_t i = 0; i < n; ++i) expected += get(p.grad, i).real() * direction[static_cast<std::size_t>(i)];
    worst = std::max(worst, std::abs(directional(c, k, direction, frozen) - expected) /
                                std::max(size * std::sqrt(static_cast<double>(n)), 1e-30));
  }
  note(r, worst <= complex_tolerance, fmt::format("d_{} against complex step {:.1e}", p.name, worst));
}

void check_doubled(const std::vector<Tensor>& first, Bed& bed, double tolerance, const char* where, CheckResult& r) {
  for (std::size_t k = 0; k < bed.params().size(); ++k) {
    const Param& p = bed.params()[k];
    if (!p.grad) continue;
    const Norms e = compare(
        p.grad.numel(), [&](int64_t i) { return get(p.grad, i); }, [&](int64_t i) { return 2.0 * get(first[k], i); });
    note(r, e.relative() <= tolerance,
         fmt::format("{}: d_{} added twice is off by {:.1e}", where, p.name, e.relative()));
  }
}

void run_twice(Bed& bed, double tolerance, const char* where, CheckResult& r) {
  bed.backward();
  std::vector<Tensor> first;
  for (const Param& p : bed.params()) {
    Tensor copy = bed.device().allocate(p.value.shape);
    for (int64_t i = 0; p.grad && i < copy.numel(); ++i) set(copy, i, get(p.grad, i));
    first.push_back(copy);
  }
  bed.backward();
  check_doubled(first, bed, tolerance, where, r);
  for (std::size_t k = 0; k < first.size(); ++k) {  // leave the single gradient for the other checks
    const Param& p = bed.params()[k];
    for (int64_t i = 0; p.grad && i < p.grad.numel(); ++i) set(p.grad, i, get(first[k], i));
    bed.device().pool().release(first[k].data);
  }
}

void compare_values(const OpCase& c, const DeviceOptions& options, double tolerance, CheckResult& r) {
  Bed ref(c, {.kind = DeviceKind::ref, .guard = true}), cpu(c, options);
  const auto expected = ref.values(), came = cpu.values();
  require(expected.size() == came.size(), "[{}] ref and cpu give {} and {} numbers", c.op, expected.size(),
          came.size());
  const Norms e = compare(
      static_cast<int64_t>(came.size()), [&](int64_t i) { return came[static_cast<std::size_t>(i)]; },
      [&](int64_t i) { return expected[static_cast<std::size_t>(i)]; });
  note(r, e.relative() <= tolerance, fmt::format("cpu against ref {:.1e}", e.relative()));
}

double now_ms() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

}  // namespace

CheckResult check_values(const OpCase& c) {
  CheckResult r;
  compare_values(c, DeviceOptions{.guard = true}, c.tolerance, r);
  return r;
}

CheckResult check_gradients(const OpCase& c) {
  Bed ref(c, {.kind = DeviceKind::ref, .guard = true}), cpu(c, {.kind = DeviceKind::cpu, .guard = true});
  CheckResult r;
  run_twice(ref, 1e-13, "ref", r);
  run_twice(cpu, 1e-5, "cpu", r);
  double largest = 0;
  for (const Param& p : ref.params())
    for (int64_t i = 0; p.grad && i < p.grad.numel(); ++i) largest = std::max(largest, std::abs(get(p.grad, i)));
  for (std::size_t k = 0; k < c.inputs.size(); ++k) {
    const Param &p = ref.params()[k], &q = cpu.params()[k];
    if (!p.grad) continue;
    check_complex_step(c, ref, k, r);
    const Norms e = compare(
        p.grad.numel(), [&](int64_t i) { return get(q.grad, i); }, [&](int64_t i) { return get(p.grad, i); });
    const bool ok = e.error <= c.tolerance * std::max(e.size, 0.01 * largest);
    note(r, ok, fmt::format("d_{} cpu against ref {:.1e}", p.name, e.relative()));
  }
  return r;
}

CheckResult check_bf16(const OpCase& c) {
  const DeviceOptions options{.products = Products::bf16, .guard = true};
  CheckResult r;
  compare_values(c, options, c.bf16_tolerance, r);
  Bed ref(c, {.kind = DeviceKind::ref, .guard = true}), cpu(c, options);
  ref.backward();
  cpu.backward();
  double error = 0, size = 0;  // of all gradients as one: that of a factor alone may be a small sum of large terms
  for (std::size_t k = 0; k < c.inputs.size(); ++k) {
    const Param &p = ref.params()[k], &q = cpu.params()[k];
    if (!p.grad) continue;
    const Norms e = compare(
        p.grad.numel(), [&](int64_t i) { return get(q.grad, i); }, [&](int64_t i) { return get(p.grad, i); });
    error = std::hypot(error, e.error);
    size = std::hypot(size, e.size);
  }
  note(r, error <= c.bf16_tolerance * size, fmt::format("gradient cpu against ref {:.1e}", error / size));
  return r;
}

CheckResult check_frozen(const OpCase& c) {
  Bed ref(c, {.kind = DeviceKind::ref, .guard = true}, true), cpu(c, {.kind = DeviceKind::cpu, .guard = true}, true);
  CheckResult r;
  for (auto [bed, tolerance, where] :
       {std::tuple(&ref, complex_tolerance, "ref"), std::tuple(&cpu, c.tolerance, "cpu")}) {
    bed->backward();
    const Bed::Sum sum = bed->explained();
    const double off = std::abs(sum.total - bed->projected().real()) / std::max(sum.size, 1e-30);
    note(r, off <= tolerance, fmt::format("{} is complete to {:.1e}", where, off));
  }
  for (std::size_t k = 0; k < c.inputs.size(); ++k) {
    const Param &p = ref.params()[k], &q = cpu.params()[k];
    note(r, p.has_grad == q.has_grad, fmt::format("d_{} on ref and cpu", p.name));
    if (!p.has_grad) continue;
    check_complex_step(c, ref, k, r, true);
    const Norms e = compare(
        p.grad.numel(), [&](int64_t i) { return get(q.grad, i); }, [&](int64_t i) { return get(p.grad, i); });
    note(r, e.relative() <= c.tolerance, fmt::format("d_{} cpu against ref {:.1e}", p.name, e.relative()));
  }
  return r;
}

bool runs_on(const OpCase& c, DeviceKind kind) {
  try {
    Bed bed(c, {.kind = kind});
    bed.backward();
    return true;
  } catch (const Error&) {
    return false;
  }
}

struct OpTimer::State {
  State(OpCase given, const DeviceOptions& device) : c(std::move(given)), bed(c, device) {}
  OpCase c;
  Bed bed;
};

OpTimer::OpTimer(OpCase c, const DeviceOptions& device) : state_(std::make_unique<State>(std::move(c), device)) {}
OpTimer::~OpTimer() = default;

BenchResult OpTimer::once(bool backward) {
  const double start = now_ms();
  Run run(state_->bed.device(), {.record = true});
  const Tensor y = state_->bed.build(run);
  const double middle = now_ms();
  if (backward) run.backward(y);
  return {middle - start, now_ms() - middle, run.forward_cost(), run.backward_cost()};
}

BenchResult bench_op(const OpCase& c, int repeats, const DeviceOptions& device) {
  OpTimer timer(c, device);
  BenchResult result = timer.once();  // the warm-up
  std::vector<double> forward, backward;
  for (int i = 0; i < repeats; ++i) {
    result = timer.once();
    forward.push_back(result.forward_ms);
    backward.push_back(result.backward_ms);
  }
  result.forward_ms = median(forward);
  result.backward_ms = median(backward);
  return result;
}

}  // namespace crate
