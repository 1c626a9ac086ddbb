// Muon against steps computed by hand, cpu against ref.
#include "ops/muon.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "ops/optimiser.h"
#include "tensor/isa.h"

namespace crate {
namespace {

Tensor matrix(Device& device, Shape shape, std::initializer_list<double> values = {}) {
  const Tensor t = device.allocate(shape);
  set_zero(device, t);
  std::copy(values.begin(), values.end(), t.as<double>());
  return t;
}

template <class T> Tensor random(Device& device, Shape shape, uint64_t major) {
  const Tensor t = device.allocate(shape);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.as<T>()[i] = static_cast<float>(Rng(5, Stream::test).normal(major, static_cast<uint64_t>(i)));
  return t;
}

double five_times(double s) {
  for (int i = 0; i < 5; ++i) s = 3.4445 * s - 4.7750 * s * s * s + 2.0315 * s * s * s * s * s;
  return s;
}

TEST(Muon, ADiagonalByHand) {
  // The first m is (1 - beta) g, u = (1 - beta) (beta + 1) g; divided by its norm: 3/5 and 4/5, whatever the scale.
  // Each then goes its own way through the polynomial.
  Device device({.kind = DeviceKind::ref});
  const Tensor p = matrix(device, {2, 2}, {1, 2, 3, 4}), g = matrix(device, {2, 2}, {-6, 0, 0, 8});
  const Tensor m = matrix(device, {2, 2});
  muon_step(device, {p, g, m}, {.lr = 0.1, .beta = 0.9, .decay = 0.5, .grad_scale = 0.5});
  const double step = 0.1 * 0.2 * std::sqrt(2.0), keep = 1 - 0.1 * 0.5;
  EXPECT_NEAR(p.as<double>()[0], keep * 1 + step * five_times(0.6), 1e-6);  // the norm has 1e-7 added
  EXPECT_NEAR(p.as<double>()[1], keep * 2, 1e-15);
  EXPECT_NEAR(p.as<double>()[2], keep * 3, 1e-15);
  EXPECT_NEAR(p.as<double>()[3], keep * 4 - step * five_times(0.8), 1e-6);
  EXPECT_NEAR(m.as<double>()[0], 0.1 * 0.5 * -6, 1e-15);
}

TEST(Muon, TheSecondStepLooksAhead) {
  // One number: X is u / |u| through the polynomial, so only the sign of u counts: m = 0.1, then 0.9 * 0.1 - 0.1 * 0.5.
  Device device({.kind = DeviceKind::ref});
  const Tensor p = matrix(device, {1, 1}), g = matrix(device, {1, 1}, {1}), m = matrix(device, {1, 1});
  const Muon options{.lr = 1, .beta = 0.9};
  muon_step(device, {p, g, m}, options);
  *g.as<double>() = -0.5;
  muon_step(device, {p, g, m}, options);
  EXPECT_NEAR(*m.as<double>(), 0.04, 1e-15);
  // u = 0.9 * 0.04 - 0.1 * 0.5 < 0: m alone would still point up.
  EXPECT_NEAR(*p.as<double>(), 0, 1e-4);
}

TEST(Muon, MakesOrthogonalWhatItIsGiven) {
  Device device({.kind = DeviceKind::ref});
  for (const Shape shape : {Shape{8, 8}, Shape{5, 12}, Shape{12, 5}}) {
    const Tensor p = matrix(device, shape), m = matrix(device, shape);
    muon_step(device, {p, random<double>(device, shape, 3), m}, {.lr = -1 / muon_scale(shape[0], shape[1])});
    // Rows of a wide matrix, columns of a tall one: no longer than the polynomial allows, nearly at right angles.
    double squares = 0;
    for (int64_t i = 0; i < p.numel(); ++i) squares += p.as<double>()[i] * p.as<double>()[i];
    const auto rank = static_cast<double>(std::min(shape[0], shape[1]));
    EXPECT_GT(squares / rank, 0.6) << shape.str();
    EXPECT_LT(squares / rank, 1.3) << shape.str();
  }
}

TEST(Muon, PartsAreMapsOfTheirOwn) {
  Device device({.kind = DeviceKind::ref});
  const Tensor whole = matrix(device, {6, 3}), m = matrix(device, {6, 3}), g = random<double>(device, {6, 3}, 1);
  muon_step(device, {whole, g, m}, {.parts = 2});
  for (int64_t part = 0; part < 2; ++part) {
    const auto rows = [&](const Tensor& t) { return Tensor{t.as<double>() + part * 9, {3, 3}, Dtype::f64}; };
    const Tensor alone = matrix(device, {3, 3});
    muon_step(device, {alone, rows(g), matrix(device, {3, 3})}, {});
    for (int64_t i = 0; i < 9; ++i) EXPECT_EQ(rows(whole).as<double>()[i], alone.as<double>()[i]);
  }
}

TEST(Muon, CpuFollowsTheReference) {
  Device ref({.kind = DeviceKind::ref}), cpu({.kind = DeviceKind::cpu, .guard = true});
  for (const auto& [shape, parts] :
       {std::pair{Shape{17, 33}, 1}, std::pair{Shape{40, 13}, 1}, std::pair{Shape{48, 16}, 3},
        std::pair{Shape{20, 25}, 1}, std::pair{Shape{33, 160}, 1}}) {
    const MuonState r{random<double>(ref, shape, 0), random<double>(ref, shape, 1), matrix(ref, shape)};
    const MuonState c{random<float>(cpu, shape, 0), random<float>(cpu, shape, 1), cpu.allocate(shape)};
    set_zero(cpu, c.m);
    for (int step = 0; step < 3; ++step) {
      muon_step(ref, r, {.lr = 0.05, .decay = 0.1, .parts = parts, .grad_scale = 0.7});
      muon_step(cpu, c, {.lr = 0.05, .decay = 0.1, .parts = parts, .grad_scale = 0.7});
    }
    double error = 0, size = 0;
    for (int64_t i = 0; i < r.value.numel(); ++i) {
      error += std::pow(c.value.as<float>()[i] - r.value.as<double>()[i], 2);
      size += std::pow(r.value.as<double>()[i], 2);
    }
    EXPECT_LT(std::sqrt(error / size), 2e-5) << shape.str();
  }
}

TEST(Muon, BitsDoNotDependOnTheThreads) {
  if (cpu_isa() != Isa::avx512) GTEST_SKIP() << "without AVX-512 oneDNN cuts the sum of a product among threads";
  const int threads = thread_count();
  std::vector<float> before;
  for (const int n : {1, 3}) {
    set_thread_count(n);
    Device cpu;
    const MuonState c{random<float>(cpu, {200, 100}, 0), random<float>(cpu, {200, 100}, 1), cpu.allocate({200, 100})};
    set_zero(cpu, c.m);
    muon_step(cpu, c, {});
    const std::vector<float> now(c.value.as<float>(), c.value.as<float>() + c.value.numel());
    if (!before.empty()) {
      EXPECT_EQ(now, before);
    }
    before = now;
  }
  set_thread_count(threads);
}

TEST(Muon, DirectionsThatAreNotThereStayAway) {
  // A gradient of one direction: its step is that direction and, rounded numbers or not, next to nothing beside it.
  Device device;
  const Shape shape{30, 200};
  const MuonState s{device.allocate(shape), device.allocate(shape), device.allocate(shape)};
  set_zero(device, s.value);
  set_zero(device, s.m);
  const auto at = [&](int64_t i, int64_t j) { return std::cos(1.0 + static_cast<double>(i)) * std::sin(3.0 * j); };
  double squares = 0;
  for (int64_t i = 0; i < shape[0]; ++i) {
    for (int64_t j = 0; j < shape[1]; ++j) {
      s.grad.as<float>()[i * shape[1] + j] = static_cast<float>(at(i, j));
      squares += at(i, j) * at(i, j);
    }
  }
  muon_step(device, s, {.lr = -1 / muon_scale(shape[0], shape[1])});
  double beside = 0;
  for (int64_t i = 0; i < shape[0]; ++i)
    for (int64_t j = 0; j < shape[1]; ++j)
      beside += std::pow(s.value.as<float>()[i * shape[1] + j] - five_times(1) * at(i, j) / std::sqrt(squares), 2);
  EXPECT_LT(std::sqrt(beside), 1e-3);
}

TEST(Muon, GradientsOfZerosMoveNothing) {
  Device device;
  const MuonState s{random<float>(device, {4, 4}, 0), device.allocate({4, 4}), device.allocate({4, 4})};
  set_zero(device, s.grad);
  set_zero(device, s.m);
  const std::vector<float> before(s.value.as<float>(), s.value.as<float>() + 16);
  muon_step(device, s, {});
  EXPECT_EQ(std::vector<float>(s.value.as<float>(), s.value.as<float>() + 16), before);
}

TEST(Muon, RefusesTensorsThatDoNotFit) {
  Device device;
  const Tensor a = device.allocate({4, 6}), b = device.allocate({6, 4}), v = device.allocate({24});
  EXPECT_THROW(muon_step(device, {a, b, a}, {}), Error);
  EXPECT_THROW(muon_step(device, {v, v, v}, {}), Error);
  EXPECT_THROW(muon_step(device, {a, a, a}, {.parts = 3}), Error);
}

}  // namespace
}  // namespace crate
