// Coding rates beyond their cases: the stored values of the authors' script, both Gram matrices, the plain function.
#include "ops/coding_rate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <filesystem>

#include "ops/linear.h"
#include "testing/reference.h"

namespace crate {
namespace {

const std::string fixture = CRATE_SOURCE_DIR "/../shared/fixtures/coding_rate_s.safetensors";

class CodingRates : public testing::TestWithParam<DeviceKind> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(fixture)) GTEST_SKIP() << "no " << fixture;
    file = read_safetensors(fixture);
  }

  double number(const std::string& name) const { return file.tensors.at(name).to_f64()[0]; }

  // Parameters live as long as the test; their gradients are filled by a backward.
  Param& param(const std::vector<double>& values, Shape shape) {
    Param& p = params.emplace_back(Param{"x", device.allocate(shape), device.allocate(shape), false, false});
    for (int64_t i = 0; i < p.value.numel(); ++i) {
      const double v = values[static_cast<std::size_t>(i)];
      if (p.value.dtype == Dtype::f32)
        p.value.as<float>()[i] = static_cast<float>(v);
      else
        p.value.as<double>()[i] = v;
    }
    return p;
  }
  Param& stored(const std::string& name) {
    const Array& a = file.tensors.at(name);
    const auto& s = a.shape;
    return param(a.to_f64(), s.size() == 2 ? Shape{s[0], s[1]} : Shape{s[0], s[1], s[2], s[3]});
  }

  // Puts `factors` at the output and walks back.
  void walk(crate::Run& run, const Tensor& y, const std::vector<double>& factors) {
    const GradTo d = run.seed_grad(y);
    for (int64_t i = 0; i < y.numel(); ++i) {
      if (d.to.dtype == Dtype::f32)
        d.to.as<float>()[i] = static_cast<float>(factors[static_cast<std::size_t>(i)]);
      else
        d.to.as<double>()[i] = factors[static_cast<std::size_t>(i)];
    }
    run.walk();
  }

  void expect_near(const std::vector<double>& got, const std::string& name) const {
    EXPECT_LT(relative_error(got, file.tensors.at(name).to_f64()), tolerance) << name;
  }

  Device device{{.kind = GetParam(), .guard = true}};
  const double tolerance = GetParam() == DeviceKind::ref ? 1e-10 : 2e-5;
  SafetensorsFile file;
  std::deque<Param> params;
};

TEST_P(CodingRates, OfUnitRowsAsTheAuthorsMeasureThem) {
  for (const char* item : {"0", "1", "2"}) {
    Param& x = stored(std::string("in/X") + item);
    const int64_t batch = x.value.shape[0], heads = x.value.shape[1];
    const double alpha = static_cast<double>(x.value.shape[3]) /
                         (static_cast<double>(x.value.shape[2]) * number(std::string("in/eps") + item));
    for (const bool of_the_mean : {true, false}) {
      crate::Run run(device, {.record = true});
      const Tensor rates = coding_rate(run, run.param(x), {.alpha = alpha, .unit_rows = true});
      const std::vector<double> r = numbers_of(rates);
      expect_near(r, std::string("out/per_sample_head") + item);
      std::vector<double> sums(static_cast<std::size_t>(batch));
      for (int64_t i = 0; i < rates.numel(); ++i)
        sums[static_cast<std::size_t>(i / heads)] += r[static_cast<std::size_t>(i)];
      double mean = 0, squares = 0;
      for (const double s : sums) mean += s / static_cast<double>(batch);
      for (const double s : sums) squares += (s - mean) * (s - mean);
      const double deviation = std::sqrt(squares / static_cast<double>(batch - 1));
      expect_near({mean}, std::string("out/mean") + item);
      std::vector<double> factors;
      for (int64_t i = 0; i < rates.numel(); ++i) {
        const double s = sums[static_cast<std::size_t>(i / heads)];
        factors.push_back(of_the_mean ? 1 / static_cast<double>(batch)
                                      : (s - mean) / (static_cast<double>(batch - 1) * deviation));
      }
      x.has_grad = false;
      walk(run, rates, factors);
      if (!of_the_mean) expect_near({deviation}, std::string("out/std") + item);
      expect_near(numbers_of(x.grad), std::string(of_the_mean ? "grad_in/X" : "grad_std/X") + item);
    }
  }
}

TEST_P(CodingRates, OfTokensAndTheirGradient) {
  for (const char* item : {"0", "1"}) {
    Param& z = stored(std::string("in/Z") + item);
    const double eps = number(std::string("in/Zeps") + item);
    crate::Run run(device, {.record = true});
    const auto n = static_cast<double>(z.value.rows()), d = static_cast<double>(z.value.cols());
    const Tensor rate = coding_rate(run, run.param(z), {.alpha = d / (n * eps * eps)});
    expect_near(numbers_of(rate), std::string("out/R") + item);
    run.backward(rate);
    expect_near(numbers_of(z.grad), std::string("grad_in/Z") + item);
  }
}

TEST_P(CodingRates, AgainstSubspacesWithBothGradients) {
  Param& z = stored("in/cZ0");
  const Array& u = file.tensors.at("in/cU0");  // (k, d, p)
  const int64_t k = u.shape[0], d = u.shape[1], p = u.shape[2];
  const std::vector<double> from = u.to_f64();
  std::vector<double> turned(from.size());  // rows k p of length d, as linear reads its weight
  const auto at = [&](int64_t h, int64_t i, int64_t j) { return static_cast<std::size_t>((h * d + i) * p + j); };
  const auto to = [&](int64_t h, int64_t i, int64_t j) { return static_cast<std::size_t>((h * p + j) * d + i); };
  for (int64_t h = 0; h < k; ++h)
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = 0; j < p; ++j) turned[to(h, i, j)] = from[at(h, i, j)];
  Param& bases = param(turned, {k * p, d});
  const double eps = number("in/ceps0");
  const double alpha = static_cast<double>(p) / (static_cast<double>(z.value.rows()) * eps * eps);
  crate::Run run(device, {.record = true});
  const Tensor coords = linear(run, run.param(z), {run.param(bases)});
  const Tensor rates = coding_rate(run, coords, {.alpha = alpha, .heads = k});
  double sum = 0;
  for (const double r : numbers_of(rates)) sum += r;
  expect_near({sum}, "out/Rc0");
  walk(run, rates, std::vector<double>(static_cast<std::size_t>(k), 1.0));
  expect_near(numbers_of(z.grad), "grad_in/cZ0");
  const std::vector<double> d_bases = numbers_of(bases.grad);
  std::vector<double> d_u(d_bases.size());
  for (int64_t h = 0; h < k; ++h)
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = 0; j < p; ++j) d_u[at(h, i, j)] = d_bases[to(h, i, j)];
  expect_near(d_u, "grad_in/cU0");
}

INSTANTIATE_TEST_SUITE_P(All, CodingRates, testing::Values(DeviceKind::ref, DeviceKind::cpu),
                         [](const auto& info) { return name_of(info.param); });

TEST(CodingRate, ThePlainFunctionReadsAMatrixInsideAnother) {
  // Columns 2 and 3 of five rows are the matrix; by hand for two orthogonal tokens: 1/2 log((1 + 4 a)(1 + 9 a)).
  const std::vector<float> all = {9, 9, 2, 0, 9, 9, 0, 3, 9, 9, 0, 0};
  const double alpha = 0.7;
  EXPECT_NEAR(coding_rate_of(RowsOf<float>{all.data() + 2, 2, 2, 4}, alpha),
              0.5 * std::log((1 + 4 * alpha) * (1 + 9 * alpha)), 1e-14);
  EXPECT_NEAR(coding_rate_of(RowsOf<float>{all.data() + 2, 3, 2, 4}, alpha, true), std::log(1 + alpha), 1e-14)
      << "a row of zeros stays a row of zeros";
}

TEST(CodingRate, RefusesWhatDoesNotFit) {
  Device device;
  crate::Run run(device);
  const Tensor z = run.constant({5, 6}, 1);
  EXPECT_THROW(coding_rate(run, z, {.alpha = 1, .heads = 4}), Error);
  EXPECT_THROW(coding_rate(run, z, {.alpha = 0}), Error);
  EXPECT_THROW(coding_rate(run, run.constant({5}, 1), {}), Error);
}

}  // namespace
}  // namespace crate
