// The tape: write modes, handed-over gradients, recomputation, taps.
#include "run/run.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace crate {
namespace {

// y = x * x, elementwise, on ref.
Tensor square(Run& run, const Tensor& x) {
  Tensor y = run.make(x.shape);
  for (int64_t i = 0; i < x.numel(); ++i) y.as<double>()[i] = x.as<double>()[i] * x.as<double>()[i];
  run.record("square", y, {1, 2}, {3, 4}, [&run, x, y] {
    const Tensor d_y = run.grad_of(y);
    const GradTo d_x = run.grad_to(x);
    for (int64_t i = 0; i < x.numel(); ++i) {
      const double d = 2 * x.as<double>()[i] * d_y.as<double>()[i];
      d_x.to.as<double>()[i] = d_x.add ? d_x.to.as<double>()[i] + d : d;
    }
  });
  return y;
}

// y = a + b.
Tensor plus(Run& run, const Tensor& a, const Tensor& b) {
  Tensor y = run.make(a.shape);
  for (int64_t i = 0; i < a.numel(); ++i) y.as<double>()[i] = a.as<double>()[i] + b.as<double>()[i];
  run.record("plus", y, {}, {}, [&run, a, b, y] {
    if (const GradTo d_b = run.grad_to(b)) add_into(run.device(), d_b, run.grad_of(y));
    run.pass_grad(y, a);
  });
  return y;
}

struct Bed {
  Device device{{.kind = DeviceKind::ref, .guard = true}};
  Param p{"x", device.allocate({3}), device.allocate({3}), false, false};
  Bed() {
    for (int i = 0; i < 3; ++i) p.value.as<double>()[i] = i + 1.0;
  }
};

// d/dx of (x^2 + x)^2 + x = 2 (x^2 + x)(2x + 1) + 1
double expected(double x) { return 2 * (x * x + x) * (2 * x + 1) + 1; }

Tensor chain(Run& run, const Tensor& x) { return plus(run, square(run, plus(run, square(run, x), x)), x); }

TEST(Run, WalksBackThroughSharedInputs) {
  Bed bed;
  for (int pass = 1; pass <= 2; ++pass) {  // the second pass adds to the first
    crate::Run run(bed.device, {.record = true});
    run.backward(chain(run, run.param(bed.p)));
    for (int i = 0; i < 3; ++i) EXPECT_DOUBLE_EQ(bed.p.grad.as<double>()[i], pass * expected(i + 1.0));
  }
}

TEST(Run, RecomputationGivesTheSameGradientInLessMemory) {
  Bed bed;
  const auto peak = [&](bool recompute) {
    bed.p.has_grad = false;
    bed.device.pool().reset_peak();
    crate::Run run(bed.device, {.record = true});
    Tensor x = run.param(bed.p);
    for (int depth = 0; depth < 4; ++depth) {
      const auto body = [&](const Tensor& z) {
        Tensor out = z;
        for (int i = 0; i < 8; ++i) out = plus(run, out, z);
        return out;
      };
      x = recompute ? run.recompute(x, body) : body(x);
    }
    run.backward(x);
    return bed.device.pool().peak_bytes();
  };
  const auto full = peak(false);
  const std::vector<double> g(bed.p.grad.as<double>(), bed.p.grad.as<double>() + 3);
  const auto lean = peak(true);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(bed.p.grad.as<double>()[i], g[static_cast<std::size_t>(i)]);
  EXPECT_DOUBLE_EQ(g[0], 9.0 * 9 * 9 * 9);
  EXPECT_LT(lean, full);
}

TEST(Run, FreesItsMemory) {
  Bed bed;
  const auto before = bed.device.pool().bytes_in_use();
  {
    crate::Run run(bed.device, {.record = true});
    run.backward(chain(run, run.param(bed.p)));
  }
  EXPECT_EQ(bed.device.pool().bytes_in_use(), before);
}

TEST(Run, KeepsAskedGradientsAndCountsCost) {
  Bed bed;
  crate::Run run(bed.device, {.record = true, .trace = true});
  const Tensor y = square(run, run.param(bed.p));
  run.keep_grad(y);
  run.backward(square(run, y));
  EXPECT_DOUBLE_EQ(run.grad_of(y).as<double>()[1], 2 * 4.0);
  EXPECT_DOUBLE_EQ(run.forward_cost().flops, 2);
  EXPECT_DOUBLE_EQ(run.backward_cost().bytes, 8);
  ASSERT_EQ(run.trace().size(), 2u);
  EXPECT_EQ(run.trace()[0].op, "square");
}

class Doubler : public Tap {
 public:
  bool wants(std::string_view site) override { return site == "blocks.1.code"; }
  void see(std::string_view, const Tensor& t) override { seen = t.as<double>()[0]; }
  bool edits(std::string_view site) override { return edit_it && site == "blocks.1.code"; }
  void edit(std::string_view, const Tensor& t) override { t.as<double>()[0] *= 2; }
  bool edit_it = false;
  double seen = 0;
};

TEST(Run, TapsSeeAndEditButNeverWhileRecording) {
  Bed bed;
  Doubler tap;
  crate::Run run(bed.device, {.tap = &tap});
  EXPECT_TRUE(run.wants({"blocks.1."}, "code"));
  EXPECT_FALSE(run.wants({"blocks.2."}, "code"));
  run.see({"blocks.1."}, "code", bed.p.value);
  EXPECT_EQ(tap.seen, 1.0);
  tap.edit_it = true;
  run.see({"blocks.1."}, "code", bed.p.value);
  EXPECT_EQ(tap.seen, 2.0);
  crate::Run recording(bed.device, {.record = true, .tap = &tap});
  EXPECT_THROW(recording.see({"blocks.1."}, "code", bed.p.value), Error);
}

}  // namespace
}  // namespace crate
