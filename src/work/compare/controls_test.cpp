#include "work/compare/controls.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "model/parameters.h"
#include "testing/models.h"

namespace crate {
namespace {

double product(const std::vector<double>& q, int64_t d, int64_t i, int64_t k) {
  double sum = 0;
  for (int64_t j = 0; j < d; ++j) sum += q[i * d + j] * q[k * d + j];
  return sum;
}

TEST(Rotation, IsOrthonormalAndAddressed) {
  const int64_t d = 37;
  const std::vector<double> q = random_rotation(d, 1, 4);
  for (int64_t i = 0; i < d; ++i)
    for (int64_t k = 0; k < d; ++k) EXPECT_NEAR(product(q, d, i, k), i == k, 1e-13);
  EXPECT_EQ(random_rotation(d, 1, 4), q);
  EXPECT_NE(random_rotation(d, 1, 5), q);
  EXPECT_NE(random_rotation(d, 2, 4), q);
}

Array numbers(std::vector<int64_t> shape) {
  std::vector<float> x(static_cast<std::size_t>(checked_numel(shape, 4, "test")));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(7 * i + 1));
  std::vector<std::byte> bytes(4 * x.size());
  std::memcpy(bytes.data(), x.data(), bytes.size());
  return make_array(FileDtype::f32, std::move(shape), std::move(bytes));
}

// What a half of a block computes from one vector of the stream: reading turned by Q and writing turned by Q is the
// half in a turned frame, so reading a turned vector gives the same numbers.
TEST(Rotation, TurnsWhatLiesInTheStream) {
  const int64_t d = 6, m = 10;
  const std::vector<double> q = random_rotation(d, 3, 3);  // second half of block 1
  const Array atoms = numbers({m, d}), back = numbers({d, m});
  const std::vector<float> a = atoms.to_f32(), ta = turned("blocks.1.mlp.w_in", atoms, d, 3);
  const std::vector<float> b = back.to_f32(), tb = turned("blocks.1.mlp.w_out", back, d, 3);
  for (int64_t k = 0; k < m; ++k) {
    for (int64_t i = 0; i < d; ++i) {
      double row = 0, column = 0;
      for (int64_t j = 0; j < d; ++j) {
        row += q[i * d + j] * a[k * d + j];
        column += q[i * d + j] * b[j * m + k];
      }
      EXPECT_NEAR(ta[k * d + i], row, 1e-6);
      EXPECT_NEAR(tb[i * m + k], column, 1e-6);
    }
  }
}

TEST(Rotation, KnowsEveryParameterOfEveryFamily) {
  for (const auto& [name, config] : small_models()) {
    int64_t changed = 0;
    for (const auto& [parameter, shape, decays] : parameter_shapes(config)) {
      std::vector<int64_t> sizes;
      for (int i = 0; i < shape.rank(); ++i) sizes.push_back(shape[i]);
      static_cast<void>(decays);
      const Array value = numbers(sizes);
      const std::vector<float> now = turned(parameter, value, config.dim, 1), old = value.to_f32();
      const bool meets_stream = parameter.find(".metric_") == std::string::npos;
      const bool in_block = parameter.starts_with("blocks.") && shape.rank() == 2 && meets_stream;
      if (in_block) {
        EXPECT_NE(now, old) << name << " " << parameter;
      }
      if (!parameter.starts_with("blocks.")) {
        EXPECT_EQ(now, old) << name << " " << parameter;
      }
      changed += now != old;
      double before = 0, after = 0;
      for (std::size_t i = 0; i < now.size(); ++i) {
        before += double{old[i]} * old[i];
        after += double{now[i]} * now[i];
      }
      EXPECT_NEAR(after, before, 1e-5 * before) << parameter;
    }
    EXPECT_GE(changed, 3 * config.layers);
  }
}

}  // namespace
}  // namespace crate
