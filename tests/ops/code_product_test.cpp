// Products from a sparse code against the plain product in double, for every share of non-zeros and number of rows.
#include "ops/code_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "base/rng.h"

namespace crate {
namespace {

constexpr int64_t atoms = 130, width = 517;

struct Product {
  Device device;
  Tensor code, dict, plus, y;

  Product(int64_t rows, double share) {
    const Rng rng(11, Stream::test);
    const auto filled = [&](Shape shape, uint64_t major, double kept) {
      const Tensor t = device.allocate(shape);
      for (int64_t i = 0; i < t.numel(); ++i) {
        const auto minor = static_cast<uint64_t>(i);
        const bool on = rng.uniform(major + 10, minor) < kept;
        t.as<float>()[i] = on ? static_cast<float>(rng.normal(major, minor)) : 0;
      }
      return t;
    };
    code = filled({rows, atoms}, 0, share);
    dict = filled({atoms, width}, 1, 1);
    plus = filled({rows, width}, 2, 1);
    y = filled({rows, width}, 3, 1);  // whatever was there before
  }
  void run(bool with_plus) {
    code_product(
        device,
        {.a = code, .b = dict, .c = y, .alpha = -0.7, .plus = with_plus ? plus : Tensor{}, .b_is_weight = true});
  }
  double expected(int64_t row, int64_t j, bool with_plus) const {
    double sum = 0;
    for (int64_t i = 0; i < atoms; ++i)
      sum += double{code.as<float>()[row * atoms + i]} * double{dict.as<float>()[i * width + j]};
    return -0.7 * sum + (with_plus ? double{plus.as<float>()[row * width + j]} : 0);
  }
};

TEST(CodeProduct, IsTheProduct) {
  for (const int64_t rows : {1, 3, 8, 9}) {
    for (const double share : {0.0, 0.02, 0.3, 1.0}) {
      for (const bool with_plus : {false, true}) {
        Product p(rows, share);
        p.run(with_plus);
        double error = 0, size = 1e-30;
        for (int64_t row = 0; row < rows; ++row) {
          for (int64_t j = 0; j < width; ++j) {
            error += std::pow(double{p.y.as<float>()[row * width + j]} - p.expected(row, j, with_plus), 2);
            size += std::pow(p.expected(row, j, with_plus), 2);
          }
        }
        EXPECT_LT(std::sqrt(error / size), 1e-6) << rows << " rows, " << share << " non-zero";
      }
    }
  }
}

TEST(CodeProduct, BitsDoNotDependOnTheThreads) {
  const int threads = thread_count();
  std::vector<float> before;
  for (const int n : {1, 3}) {
    set_thread_count(n);
    Product p(2, 0.1);
    p.run(true);
    const std::vector<float> now(p.y.as<float>(), p.y.as<float>() + p.y.numel());
    if (!before.empty()) {
      EXPECT_EQ(now, before);
    }
    before = now;
  }
  set_thread_count(threads);
}

TEST(CodeProduct, NanIsNotHidden) {
  Product p(1, 0.1);
  p.code.as<float>()[5] = NAN;
  p.run(false);
  EXPECT_TRUE(std::isnan(p.y.as<float>()[0]));
}

}  // namespace
}  // namespace crate
