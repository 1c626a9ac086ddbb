// dropout: its mask is a function of the address, so it is checked by itself and not by the complex step.
#include "ops/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace crate {
namespace {

constexpr int64_t n = 10007;

std::vector<double> ones_through(Device& device, const RunOptions& options, const DropoutArgs& args) {
  crate::Run run(device, options);
  const Tensor y = dropout(run, run.constant({n}, 1.0), args);
  std::vector<double> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(y.dtype == Dtype::f32 ? double{y.as<float>()[i]} : y.as<double>()[i]);
  return out;
}

TEST(Dropout, IsTheIdentityOutsideTraining) {
  Device device;
  crate::Run run(device, {.train = false});
  const Tensor x = run.constant({5}, 2.0);
  EXPECT_EQ(dropout(run, x, {.p = 0.5}).data, x.data);
  crate::Run training(device, {.train = true});
  EXPECT_EQ(dropout(training, x, {.p = 0}).data, x.data);
}

TEST(Dropout, DropsTheGivenShareAndKeepsTheMean) {
  Device device;
  const auto y = ones_through(device, {.train = true, .seed = 7}, {.p = 0.2, .site = 3});
  double dropped = 0, sum = 0;
  for (const double value : y) {
    dropped += value == 0;
    sum += value;
    if (value != 0) {
      EXPECT_NEAR(value, 1.25, 1e-4);  // p counts in steps of 2^-16
    }
  }
  EXPECT_NEAR(dropped / n, 0.2, 0.02);  // five standard deviations
  EXPECT_NEAR(sum / n, 1.0, 0.025);
}

TEST(Dropout, MasksAreAddressed) {
  Device cpu, ref({.kind = DeviceKind::ref});
  const RunOptions options{.train = true, .seed = 7, .step = 11};
  const auto y = ones_through(cpu, options, {.p = 0.5, .site = 3});
  EXPECT_EQ(y, ones_through(cpu, options, {.p = 0.5, .site = 3}));
  EXPECT_EQ(y, ones_through(ref, options, {.p = 0.5, .site = 3}));
  EXPECT_NE(y, ones_through(cpu, options, {.p = 0.5, .site = 4}));
  EXPECT_NE(y, ones_through(cpu, {.train = true, .seed = 7, .step = 12}, {.p = 0.5, .site = 3}));
  EXPECT_NE(y, ones_through(cpu, {.train = true, .seed = 8, .step = 11}, {.p = 0.5, .site = 3}));
}

TEST(Dropout, GradientPassesWhereTheNumberPassed) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
    Device device({.kind = kind, .guard = true});
    crate::Run run(device, {.record = true, .train = true, .seed = 2});
    const Tensor x = run.make({n});
    const GradTo nothing = run.grad_to(x);  // first writer: what dropout brings is added to these zeros
    std::memset(nothing.to.data, 0, nothing.to.bytes());
    std::memset(x.data, 0, x.bytes());
    const Tensor y = dropout(run, x, {.p = 0.25});
    run.backward(y);
    int64_t passed = 0;
    const Tensor d_x = run.grad_of(x);
    for (int64_t i = 0; i < n; ++i) {
      const double d = kind == DeviceKind::cpu ? double{d_x.as<float>()[i]} : d_x.as<double>()[i];
      EXPECT_TRUE(d == 0 || std::abs(d - 4.0 / 3) < 1e-4) << d;
      passed += d != 0;
    }
    EXPECT_NEAR(static_cast<double>(passed) / n, 0.75, 0.02);
  }
}

TEST(Dropout, RefusesImpossibleShares) {
  Device device;
  crate::Run run(device, {.train = true});
  const Tensor x = run.constant({5}, 2.0);
  EXPECT_THROW(dropout(run, x, {.p = 1.0}), Error);
  EXPECT_THROW(dropout(run, x, {.p = -0.1}), Error);
}

}  // namespace
}  // namespace crate
