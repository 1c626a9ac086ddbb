// The optimisers against hand-computed steps, cpu against ref, and the sums behind norm clipping.
#include "ops/optimiser.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/parallel.h"
#include "base/rng.h"

namespace crate {
namespace {

template <class T> Tensor filled(Device& device, int64_t n, uint64_t major, double scale = 1.0) {
  const Tensor t = device.allocate({n});
  for (int64_t i = 0; i < n; ++i)
    t.as<T>()[i] = static_cast<float>(scale * Rng(5, Stream::test).normal(major, static_cast<uint64_t>(i)));
  return t;
}

Tensor zeros(Device& device, int64_t n) {
  const Tensor t = device.allocate({n});
  set_zero(device, t);
  return t;
}

double relative_error(const Tensor& f32, const Tensor& f64) {
  double error = 0, size = 0;
  for (int64_t i = 0; i < f64.numel(); ++i) {
    error += std::norm(f32.as<float>()[i] - f64.as<double>()[i]);
    size += std::norm(f64.as<double>()[i]);
  }
  return std::sqrt(error / size);
}

TEST(AdamW, FirstStepMovesBySignedLearningRate) {
  // With bias correction the first m / sqrt(v) is g / |g|: p = 2 - 0.1 * 0.5 * 2 - 0.1 g / (|g| + eps).
  Device device({.kind = DeviceKind::ref});
  const Tensor p = zeros(device, 1), g = zeros(device, 1);
  *p.as<double>() = 2;
  *g.as<double>() = -3;
  adamw_step(device, {p, g, zeros(device, 1), zeros(device, 1)}, {.lr = 0.1, .decay = 0.5});
  EXPECT_NEAR(*p.as<double>(), 2 - 0.1 * 0.5 * 2 + 0.1 * 3 / (3 + 1e-8), 1e-15);
}

TEST(AdamW, SecondStepByHand) {
  Device device({.kind = DeviceKind::ref});
  const Tensor p = zeros(device, 1), g = zeros(device, 1), m = zeros(device, 1), v = zeros(device, 1);
  const AdamW first{.lr = 0.01, .beta1 = 0.9, .beta2 = 0.95, .decay = 0, .step = 1, .grad_scale = 0.5};
  AdamW second = first;
  second.step = 2;
  *g.as<double>() = 4;  // scaled to 2
  adamw_step(device, {p, g, m, v}, first);
  *g.as<double>() = -2;  // scaled to -1
  adamw_step(device, {p, g, m, v}, second);
  const double m2 = 0.9 * (0.1 * 2) + 0.1 * -1, v2 = 0.95 * (0.05 * 4) + 0.05 * 1;
  const double moved = 0.01 * 2 / (2 + 1e-8) + 0.01 * (m2 / (1 - 0.81)) / (std::sqrt(v2 / (1 - 0.95 * 0.95)) + 1e-8);
  EXPECT_NEAR(*p.as<double>(), -moved, 1e-15);
}

TEST(AdamW, CpuFollowsTheReference) {
  constexpr int64_t n = 20011;
  Device ref({.kind = DeviceKind::ref}), cpu({.kind = DeviceKind::cpu, .guard = true});
  const AdamWState r{filled<double>(ref, n, 0), zeros(ref, n), zeros(ref, n), zeros(ref, n)};
  const AdamWState c{filled<float>(cpu, n, 0), zeros(cpu, n), zeros(cpu, n), zeros(cpu, n)};
  for (int64_t step = 1; step <= 5; ++step) {
    const AdamW options{.lr = 0.05, .beta2 = 0.95, .decay = 0.1, .step = step, .grad_scale = 0.7};
    const auto major = static_cast<uint64_t>(step);
    adamw_step(ref, {r.value, filled<double>(ref, n, major, 0.1), r.m, r.v}, options);
    adamw_step(cpu, {c.value, filled<float>(cpu, n, major, 0.1), c.m, c.v}, options);
  }
  EXPECT_LT(relative_error(c.value, r.value), 1e-6);  // a few roundings of 2^-24 a step
  EXPECT_LT(relative_error(c.m, r.m), 1e-6);
  EXPECT_LT(relative_error(c.v, r.v), 1e-6);
}

TEST(Lion, StepByHand) {
  Device device({.kind = DeviceKind::ref});
  const Tensor p = zeros(device, 3), g = zeros(device, 3), m = zeros(device, 3);
  const double values[] = {1, -2, 3}, gradients[] = {0.5, -0.25, 0}, moments[] = {-0.01, -1, 0};
  for (int i = 0; i < 3; ++i) {
    p.as<double>()[i] = values[i];
    g.as<double>()[i] = gradients[i];
    m.as<double>()[i] = moments[i];
  }
  lion_step(device, {p, g, m}, {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .decay = 0.2});
  EXPECT_NEAR(p.as<double>()[0], 1 - 0.1 * (1 + 0.2), 1e-15);   // c = -0.009 + 0.05 > 0
  EXPECT_NEAR(p.as<double>()[1], -2 + 0.1 * (1 + 0.4), 1e-15);  // c < 0
  EXPECT_NEAR(p.as<double>()[2], 3 - 0.1 * 0.6, 1e-15);         // c = 0: decay alone
  EXPECT_NEAR(m.as<double>()[0], 0.99 * -0.01 + 0.01 * 0.5, 1e-15);
}

TEST(Lion, CpuFollowsTheReference) {
  constexpr int64_t n = 9973;
  Device ref({.kind = DeviceKind::ref}), cpu({.kind = DeviceKind::cpu, .guard = true});
  const LionState r{filled<double>(ref, n, 0), filled<double>(ref, n, 1), zeros(ref, n)};
  const LionState c{filled<float>(cpu, n, 0), filled<float>(cpu, n, 1), zeros(cpu, n)};
  for (int step = 0; step < 4; ++step) {
    lion_step(ref, r, {.lr = 0.01, .decay = 0.1, .grad_scale = 0.3});
    lion_step(cpu, c, {.lr = 0.01, .decay = 0.1, .grad_scale = 0.3});
  }
  EXPECT_LT(relative_error(c.value, r.value), 1e-6);
  EXPECT_LT(relative_error(c.m, r.m), 1e-6);
}

TEST(SumOfSquares, AgreesWithTheReferenceForEveryThreadCount) {
  constexpr int64_t n = 100003;
  Device ref({.kind = DeviceKind::ref}), cpu;
  const Tensor x = filled<float>(cpu, n, 3);
  const double expected = sum_of_squares(ref, filled<double>(ref, n, 3));
  const int threads = thread_count();
  set_thread_count(1);
  const double one = sum_of_squares(cpu, x);
  set_thread_count(3);
  const double three = sum_of_squares(cpu, x);
  set_thread_count(threads);
  EXPECT_EQ(one, three);
  EXPECT_NEAR(one, expected, 1e-12 * expected);
}

TEST(Clip, ShrinksOnlyWhatIsTooLong) {
  EXPECT_EQ(clip_factor(0.5, 1.0), 1.0);
  EXPECT_NEAR(clip_factor(4.0, 1.0), 0.25, 1e-6);
  EXPECT_EQ(clip_factor(4.0, 0.0), 1.0);
}

TEST(Optimiser, RefusesTensorsThatDoNotFit) {
  Device device;
  const Tensor a = zeros(device, 4), b = zeros(device, 5);
  EXPECT_THROW(adamw_step(device, {a, b, a, a}, {}), Error);
  EXPECT_THROW(adamw_step(device, {a, a, a, a}, {.step = 0}), Error);
  EXPECT_THROW(lion_step(device, {a, a, b}, {}), Error);
}

TEST(Scale, MultipliesOnBothDevices) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
    Device device({.kind = kind});
    const Tensor x = kind == DeviceKind::cpu ? filled<float>(device, 37, 1) : filled<double>(device, 37, 1);
    const double before = sum_of_squares(device, x);
    scale(device, x, -2);
    EXPECT_NEAR(sum_of_squares(device, x), 4 * before, 1e-12 * before);
  }
}

}  // namespace
}  // namespace crate
