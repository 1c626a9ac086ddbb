// The attention kernels of every instruction set this machine runs, against the formulas written out in double.
#include "ops/attend_core.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace crate {
namespace {

using Rows = std::vector<double>;  // (n, p), dense

struct Sizes {
  long n_q, n_k, p;
  bool causal;
};

struct Head {
  Rows q, k, v, d_o;
};

struct Expected {
  Rows o, lse, pattern, d_q, d_k, d_v;
};

/// The definition, one query at a time.
Expected expect(const AttendShape& s, const Head& x) {
  const long n_q = s.n_q;
  const long n_k = s.n_k;
  const long p = s.p;
  Expected y{Rows(n_q * p), Rows(n_q), Rows(n_q * n_k), Rows(n_q * p), Rows(n_k * p), Rows(n_k * p)};
  const auto dot = [p](const double* a, const double* b) {
    double sum = 0;
    for (long c = 0; c < p; ++c) sum += a[c] * b[c];
    return sum;
  };
  for (long i = 0; i < n_q; ++i) {
    const long seen = s.causal ? std::clamp(i + s.offset + 1, 0L, n_k) : n_k;
    double total = 0;
    double* row = &y.pattern[i * n_k];
    for (long j = 0; j < seen; ++j) total += row[j] = std::exp(s.scale * dot(&x.q[i * p], &x.k[j * p]));
    y.lse[i] = std::log(total);
    for (long j = 0; j < seen; ++j) {
      row[j] /= total;
      for (long c = 0; c < p; ++c) y.o[i * p + c] += row[j] * x.v[j * p + c];
    }
    const double d = dot(&x.d_o[i * p], &y.o[i * p]);
    for (long j = 0; j < seen; ++j) {
      const double slope = s.scale * row[j] * (dot(&x.d_o[i * p], &x.v[j * p]) - d);
      for (long c = 0; c < p; ++c) {
        y.d_v[j * p + c] += row[j] * x.d_o[i * p + c];
        y.d_q[i * p + c] += slope * x.k[j * p + c];
        y.d_k[j * p + c] += slope * x.q[i * p + c];
      }
    }
  }
  return y;
}

double norm(const Rows& x) {
  double sum = 0;
  for (const double e : x) sum += e * e;
  return std::sqrt(sum);
}

/// |a - b| / max(|b|, least) over the finite entries; the others must be equal.
double distance(const std::vector<float>& a, long stride, const Rows& b, long width, double least = 1e-15) {
  double off = 0;
  double size = least * least;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double got = a[i / width * stride + i % width];
    if (std::isinf(b[i])) {
      EXPECT_EQ(got, b[i]);
      continue;
    }
    off += (got - b[i]) * (got - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(off / size);
}

class AttendCore : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > cpu_isa()) GTEST_SKIP() << "this machine lacks " << name_of(GetParam());
  }
  const AttendKernels<float>& kernels() const { return attend_kernels(GetParam()); }
};

// float32 rounds each of the about p + n_k terms of a sum at 6e-8; scores stay below 10, so 2^x adds little.
constexpr double tolerance = 2e-6;
constexpr float guard = 7777.0F;

/// Random rows in double that a float holds exactly, and the same as floats with `stride`, guards between the rows.
Rows draw(std::mt19937& random, long n, long p) {
  std::normal_distribution<float> normal;
  Rows x(n * p);
  for (double& e : x) e = normal(random);
  return x;
}
std::vector<float> spread(const Rows& x, long p, long stride) {
  std::vector<float> to(x.size() / p * stride, guard);
  for (std::size_t i = 0; i < x.size(); ++i) to[i / p * stride + i % p] = static_cast<float>(x[i]);
  return to;
}
void expect_guards(const std::vector<float>& x, long p, long stride) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (static_cast<long>(i) % stride < p) continue;
    ASSERT_EQ(x[i], guard) << "written past a row, at " << i;
  }
}

/// Numbers that bf16 holds: a float whose lower half is 0.
Rows to_bf16(Rows x) {
  for (double& e : x) e = std::bit_cast<float>(std::bit_cast<std::uint32_t>(static_cast<float>(e)) & 0xFFFF0000U);
  return x;
}

/// Which of the rows are one tensor (queries and keys only where there are as many).
enum class Shared { nothing, scores, all };

const std::vector<Sizes> all_sizes = {
    {1, 1, 1, true},     {1, 1, 64, false},    {2, 2, 5, true},      {3, 3, 16, true},     {7, 7, 17, true},
    {13, 13, 64, false}, {97, 97, 31, true},   {96, 96, 48, false},  {100, 100, 80, true}, {257, 257, 64, true},
    {61, 61, 128, true}, {390, 390, 32, true}, {401, 401, 3, false}, {1, 37, 64, true},    {2, 450, 20, true},
    {5, 83, 64, true},   {3, 400, 65, false},  {9, 4, 8, false},     {110, 500, 24, true}, {385, 385, 150, true},
};

/// How near the definition kernels come: scores, lse and pattern; o; gradients.
struct Tolerances {
  double scores, o, gradients;
};

void check(const AttendKernels<float>& kernels, const Sizes& sizes, Shared shared, double scale,
           const Tolerances& within = {tolerance, tolerance, tolerance}, bool rounded = false) {
  const auto [n_q, n_k, p, causal] = sizes;
  SCOPED_TRACE("n_q " + std::to_string(n_q) + " n_k " + std::to_string(n_k) + " p " + std::to_string(p) +
               (causal ? " causal" : "") + " shared " + std::to_string(static_cast<int>(shared)));
  const AttendShape shape{n_q, n_k, p, scale, causal, n_k - n_q};
  std::mt19937 random(static_cast<unsigned>(n_q * 1000 + n_k * 10 + p));
  Head x{draw(random, n_q, p), draw(random, n_k, p), draw(random, n_k, p), draw(random, n_q, p)};
  const bool one_v = shared == Shared::all;
  const bool one_q = shared != Shared::nothing && n_q == n_k;
  if (rounded) {
    for (Rows* rows : {&x.q, &x.k, &x.v, &x.d_o}) *rows = to_bf16(*rows);
  }
  if (one_v) x.v = x.k;
  if (one_q) x.q = x.k;
  const Expected want = expect(shape, x);

  const long stride = p + 3;
  const auto q = spread(x.q, p, stride);
  const auto k = spread(x.k, p, stride);
  const auto v = spread(x.v, p, stride);
  const auto d_o = spread(x.d_o, p, stride);
  const HeadRows<float> keys{k.data(), stride};
  const HeadRows<float> queries = one_q ? keys : HeadRows<float>{q.data(), stride};
  const HeadRows<float> values = one_v ? keys : HeadRows<float>{v.data(), stride};
  std::vector<float> scratch(attend_scratch(shape) + 16, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = scratch.size() - 16; i < scratch.size(); ++i) scratch[i] = guard;
  std::vector<float> o(n_q * stride, guard);
  std::vector<float> lse(n_q);
  std::vector<float> pattern(n_q * n_k);
  kernels.forward(shape, queries, keys, values, {o.data(), stride}, lse.data(), scratch.data());
  EXPECT_LT(distance(o, stride, want.o, p), within.o);
  EXPECT_LT(distance(lse, 1, want.lse, 1), within.scores);
  expect_guards(o, p, stride);
  kernels.pattern(shape, queries, keys, lse.data(), pattern.data(), scratch.data());
  EXPECT_LT(distance(pattern, n_k, want.pattern, n_k), within.scores);

  const AttendSaved<float> saved{queries, keys, values, {o.data(), stride}, {d_o.data(), stride}, lse.data()};
  for (const bool add : {false, true}) {
    std::vector<float> d_q(n_q * stride, guard);
    std::vector<float> d_k(n_k * stride, guard);
    std::vector<float> d_v(n_k * stride, guard);
    Rows want_q = want.d_q;
    Rows want_k = want.d_k;
    Rows want_v = want.d_v;
    for (std::size_t i = 0; one_q && i < want_k.size(); ++i) want_k[i] += want_q[i] + (one_v ? want_v[i] : 0.0);
    if (add) {
      for (Rows* rows : {&want_q, &want_k, &want_v}) {
        for (double& e : *rows) e += 0.5;
      }
      d_q = spread(Rows(n_q * p, 0.5), p, stride);
      d_k = spread(Rows(n_k * p, 0.5), p, stride);
      d_v = d_k;
    }
    AttendGrads<float> grads{{d_q.data(), stride}, {d_k.data(), stride}, {d_v.data(), stride}, add, add, add};
    if (one_q) grads.d_q = grads.d_k;
    if (one_q && one_v) grads.d_v = grads.d_k;
    kernels.backward(shape, saved, grads, scratch.data());
    const double least =
        norm(want.d_v);  // with one key the other gradients are exactly 0, computed as small differences
    EXPECT_LT(distance(d_k, stride, want_k, p, least), within.gradients);
    if (!one_q) {
      EXPECT_LT(distance(d_q, stride, want_q, p, least), within.gradients);
    }
    if (!one_q || !one_v) {
      EXPECT_LT(distance(d_v, stride, want_v, p), within.gradients);
    }
    expect_guards(d_k, p, stride);
    expect_guards(d_q, p, stride);
    expect_guards(d_v, p, stride);
  }
  for (std::size_t i = scratch.size() - 16; i < scratch.size(); ++i) ASSERT_EQ(scratch[i], guard) << "scratch overrun";
}

TEST_P(AttendCore, MatchesTheDefinition) {
  for (const Sizes& sizes : all_sizes) {
    for (const Shared shared : {Shared::nothing, Shared::scores, Shared::all})
      check(kernels(), sizes, shared, 1.0 / std::sqrt(static_cast<double>(sizes.p)));
  }
  for (const bool causal : {false, true}) {
    check(kernels(), {40, 40, 12, causal}, Shared::all, -0.3);  // a learned factor may turn negative
    check(kernels(), {40, 40, 12, causal}, Shared::all, 0.0);
  }
}

TEST_P(AttendCore, QueriesThatSeeNothingGiveZero) {
  check(kernels(), {12, 5, 8, true}, Shared::nothing, 0.3);
  check(kernels(), {2, 1, 8, true}, Shared::nothing, 0.3);
}

TEST_P(AttendCore, ARowDoesNotDependOnItsCompany) {
  const long n = 200;
  const long p = 24;
  std::mt19937 random(3);
  const auto w = spread(draw(random, n, p), p, p);
  const auto run = [&](long from, long keys) {
    const AttendShape shape{keys - from, keys, p, 0.2, true, from};
    std::vector<float> scratch(attend_scratch(shape));
    std::vector<float> o((keys - from) * p);
    std::vector<float> lse(keys - from);
    kernels().forward(shape, {&w[from * p], p}, {w.data(), p}, {w.data(), p}, {o.data(), p}, lse.data(),
                      scratch.data());
    return std::vector<float>(o.end() - 3 * p, o.end());
  };
  EXPECT_EQ(run(0, n), run(n - 3, n));
  EXPECT_EQ(run(0, n - 50), run(n - 61, n - 50));
}

TEST_P(AttendCore, LargeScoresNeitherOverflowNorVanish) {
  const long p = 4;
  const std::vector<float> w = {300, 0, 0, 0, 0, 300, 0, 0, 299, 1, 0, 0};
  const AttendShape shape{3, 3, p, 1.0, false, 0};
  std::vector<float> scratch(attend_scratch(shape));
  std::vector<float> o(3 * p);
  std::vector<float> lse(3);
  kernels().forward(shape, {w.data(), p}, {w.data(), p}, {w.data(), p}, {o.data(), p}, lse.data(), scratch.data());
  EXPECT_EQ(o, (std::vector<float>{300, 0, 0, 0, 0, 300, 0, 0, 300, 0, 0, 0}));
  EXPECT_NEAR(lse[0], 90000.0F, 0.1F);
}

TEST_P(AttendCore, NanIsNotHidden) {
  const long p = 4;
  std::vector<float> w(40 * p, 0.5F);
  w[10 * p] = std::numeric_limits<float>::quiet_NaN();
  const AttendShape shape{40, 40, p, 1.0, true, 0};
  std::vector<float> scratch(attend_scratch(shape));
  std::vector<float> o(40 * p);
  std::vector<float> lse(40);
  kernels().forward(shape, {w.data(), p}, {w.data(), p}, {w.data(), p}, {o.data(), p}, lse.data(), scratch.data());
  for (long i = 10; i < 40; ++i) EXPECT_TRUE(std::isnan(o[i * p])) << i;
}

/// Queries that are keys and see both ways have a form of their own, behind a guard (ops/attend_symmetric.h).
class AttendSymmetric : public AttendCore {
 protected:
  static constexpr long n = 131;
  static constexpr long p = 12;

  struct Results {
    std::vector<float> o, lse, d_k, d_v;
    bool operator==(const Results&) const = default;
  };

  /// Rows whose scores with themselves, in base 2 and at scale 1, climb from `least` to `least + spread`.
  static Rows climbing(double least, double spread) {
    std::mt19937 random(11);
    Rows w = draw(random, n, p);
    for (long i = 0; i < n; ++i) {
      double squares = 0;
      for (long c = 0; c < p; ++c) squares += w[i * p + c] * w[i * p + c];
      const double score = (least + spread * static_cast<double>(i) / (n - 1)) * std::log(2.0);
      for (long c = 0; c < p; ++c) w[i * p + c] = static_cast<float>(w[i * p + c] * std::sqrt(score / squares));
    }
    return w;
  }

  static Head head_of(const Rows& w) {
    std::mt19937 random(12);
    return {w, w, draw(random, n, p), draw(random, n, p)};
  }

  /// With the keys as queries, or with a copy of them, which the kernel cannot know to be one: the general form.
  Results attend(const Head& x, double scale, bool copy) const {
    const AttendShape shape{n, n, p, scale, false, 0};
    const auto k = spread(x.k, p, p);
    const auto q = k;
    const auto v = spread(x.v, p, p);
    const auto d_o = spread(x.d_o, p, p);
    const HeadRows<float> queries{copy ? q.data() : k.data(), p};
    Results r{std::vector<float>(n * p), std::vector<float>(n), std::vector<float>(n * p), std::vector<float>(n * p)};
    std::vector<float> scratch(attend_scratch(shape));
    kernels().forward(shape, queries, {k.data(), p}, {v.data(), p}, {r.o.data(), p}, r.lse.data(), scratch.data());
    kernels().backward(shape, {queries, {k.data(), p}, {v.data(), p}, {r.o.data(), p}, {d_o.data(), p}, r.lse.data()},
                       {{r.d_k.data(), p}, {r.d_k.data(), p}, {r.d_v.data(), p}}, scratch.data());
    return r;
  }

  /// Is the case answered as exactly as the general form answers it, and by which of the two?
  void expect_form(bool symmetric, const Head& x, double scale, double largest_error) const {
    const Results came = attend(x, scale, false);
    const Results general = attend(x, scale, true);
    EXPECT_EQ(came == general, !symmetric);
    Expected want = expect({n, n, p, scale, false, 0}, x);
    for (std::size_t i = 0; i < want.d_k.size(); ++i) want.d_k[i] += want.d_q[i];
    for (const Results& r : {came, general}) {
      EXPECT_LT(distance(r.o, p, want.o, p), largest_error);
      EXPECT_LT(distance(r.lse, 1, want.lse, 1), largest_error);
      EXPECT_LT(distance(r.d_k, p, want.d_k, p), largest_error);
      EXPECT_LT(distance(r.d_v, p, want.d_v, p), largest_error);
    }
  }
};

TEST_P(AttendSymmetric, NormsAsFarApartAsTheGuardAllows) {
  // A score of 100 is rounded at 4e-6, and 2^x carries that into every weight.
  for (const double least : {0.0, 20.0}) {
    expect_form(true, head_of(climbing(least, 0.0)), 1.0, 1e-5);
    expect_form(true, head_of(climbing(least, 40.0)), 1.0, 1e-5);
    expect_form(true, head_of(climbing(least, 95.9)), 1.0, 1e-5);
    expect_form(false, head_of(climbing(least, 96.1)), 1.0, 1e-5);
    expect_form(false, head_of(climbing(least, 400.0)), 1.0, 1e-4);
  }
}

TEST_P(AttendSymmetric, EveryBoundOfTheGuard) {
  const Head plain = head_of(climbing(10.0, 10.0));
  const auto times = [](Rows rows, double factor) {
    for (double& x : rows) x *= factor;
    return rows;
  };
  Head small = plain;  // the same scores at a scale of 2^-20 and of 2^-22
  small.q = small.k = times(plain.k, 0x1p10);
  expect_form(true, small, 0x1p-20, 1e-5);
  small.q = small.k = times(plain.k, 0x1p11);
  expect_form(false, small, 0x1p-22, 1e-5);
  Head large = plain;
  large.q = large.k = times(plain.k, 0x1p-9);
  expect_form(true, large, 0x1p18, 1e-5);
  large.q = large.k = times(plain.k, 0x1p-10);
  expect_form(false, large, 0x1p20, 1e-5);
  Head values = plain;  // n max|v| within 2^50, and beyond it
  values.v = times(plain.v, 0x1p38);
  values.d_o = times(plain.d_o, 0x1p-20);
  expect_form(true, values, 1.0, 1e-5);
  values.v = times(plain.v, 0x1p45);
  values.d_o = times(plain.d_o, 0x1p10);
  expect_form(false, values, 1.0, 1e-5);
  expect_form(false, plain, -1.0, 1e-5);
}

TEST_P(AttendSymmetric, LargeEqualNormsAreLeftToTheGeneralForm) {
  // Scores of 10^6 are rounded at 0.06: far from the definition either way, so only the choice is checked.
  const Head x = head_of(climbing(1e6, 0.0));
  EXPECT_TRUE(attend(x, 1.0, false) == attend(x, 1.0, true));
}

TEST_P(AttendSymmetric, NanIsNotHidden) {
  Head x = head_of(climbing(10.0, 10.0));
  x.k[37 * p + 3] = std::numeric_limits<double>::quiet_NaN();
  for (const float o : attend(x, 1.0, false).o) ASSERT_TRUE(std::isnan(o));
}

/// Kernels whose products read bf16. Inputs are rounded beforehand: then scores are as exact as in f32, and so are lse
/// and pattern; in the other products the weights, 2^-9 each, and the gradients of the scores are rounded too.
class AttendBf16 : public ::testing::Test {
 protected:
  static constexpr Tolerances within{tolerance, 4e-3, 8e-3};

  void SetUp() override {
    if (attend_kernels_bf16() == nullptr) GTEST_SKIP() << "this machine has no bf16 products";
  }

  struct Results {
    std::vector<float> o, lse;
  };
  /// Bidirectional, with the keys as queries or a copy of them: the symmetric and the general form.
  static Results attend(const std::vector<float>& w, long p, bool copy) {
    const long n = static_cast<long>(w.size()) / p;
    const AttendShape shape{n, n, p, 1.0, false, 0};
    const std::vector<float> q = w;
    Results r{std::vector<float>(w.size()), std::vector<float>(n)};
    std::vector<float> scratch(attend_scratch(shape));
    attend_kernels_bf16()->forward(shape, {copy ? q.data() : w.data(), p}, {w.data(), p}, {w.data(), p},
                                   {r.o.data(), p}, r.lse.data(), scratch.data());
    return r;
  }
};

TEST_F(AttendBf16, MatchesTheDefinition) {
  for (const Sizes& sizes : all_sizes) {
    for (const Shared shared : {Shared::nothing, Shared::scores, Shared::all})
      check(*attend_kernels_bf16(), sizes, shared, 1.0 / std::sqrt(static_cast<double>(sizes.p)), within, true);
  }
  for (const bool causal : {false, true}) {
    check(*attend_kernels_bf16(), {41, 41, 12, causal}, Shared::all, -0.3, within, true);
    check(*attend_kernels_bf16(), {41, 41, 12, causal}, Shared::all, 0.0, within, true);
  }
  check(*attend_kernels_bf16(), {12, 5, 8, true}, Shared::nothing, 0.3, within, true);
}

TEST_F(AttendBf16, FormsAgreeAndTheGuardHolds) {
  std::mt19937 random(5);
  const long n = 131;
  const long p = 13;
  const std::vector<float> drawn = spread(draw(random, n, p), p, p);
  for (const double score : {10.0, 250.0, 260.0, 1e4}) {  // of every token with itself, in base 2; 256 is the bound
    std::vector<float> w = drawn;
    for (long i = 0; i < n; ++i) {
      double squares = 0;
      for (long c = 0; c < p; ++c) squares += static_cast<double>(w[i * p + c]) * w[i * p + c];
      for (long c = 0; c < p; ++c) w[i * p + c] *= static_cast<float>(std::sqrt(score * std::log(2.0) / squares));
    }
    const Results one = attend(w, p, false);
    const Results general = attend(w, p, true);
    EXPECT_EQ(one.o == general.o && one.lse == general.lse, score > 256.0);
    for (long i = 0; i < n; ++i) EXPECT_NEAR(one.lse[i], general.lse[i], 1e-5F * std::abs(general.lse[i]));
    EXPECT_LT(distance(one.o, p, Rows(general.o.begin(), general.o.end()), p), 8e-3);
  }
}

TEST_F(AttendBf16, NanIsNotHidden) {
  std::vector<float> w(40 * 4, 0.5F);
  w[10 * 4] = std::numeric_limits<float>::quiet_NaN();
  for (const bool copy : {false, true}) {
    for (const float o : attend(w, 4, copy).o) ASSERT_TRUE(std::isnan(o));
  }
}

const auto isas = ::testing::Values(Isa::baseline, Isa::avx2, Isa::avx512);
INSTANTIATE_TEST_SUITE_P(Isas, AttendSymmetric, isas, [](const auto& isa) { return std::string(name_of(isa.param)); });
INSTANTIATE_TEST_SUITE_P(Isas, AttendCore, isas, [](const auto& isa) { return std::string(name_of(isa.param)); });

}  // namespace
}  // namespace crate
