// mssa and mha beyond their cases: the formulas written out once more, decoding with a cache, taps, thread counts,
// errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "base/rng.h"
#include "ops/mha.h"
#include "ops/mssa.h"

namespace crate {
namespace {

using Numbers = std::vector<double>;

constexpr int64_t batch = 2;
constexpr int64_t n = 19;
constexpr int64_t heads = 3;
constexpr int64_t p = 10;
constexpr int64_t d = heads * p;

Numbers draw(uint64_t stream, int64_t count, double offset = 0) {
  const Rng rng(5, Stream::test);
  Numbers x(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(offset + rng.normal(stream, i));
  return x;
}

void set(const Tensor& t, int64_t i, double x) {
  if (t.dtype == Dtype::f32) {
    t.as<float>()[i] = static_cast<float>(x);
  } else {
    t.as<double>()[i] = x;
  }
}
double get(const Tensor& t, int64_t i) { return t.dtype == Dtype::f32 ? t.as<float>()[i] : t.as<double>()[i]; }

Tensor tensor(Run& run, Shape shape, const Numbers& x) {
  const Tensor t = run.make(shape);
  for (int64_t i = 0; i < t.numel(); ++i) set(t, i, x[static_cast<std::size_t>(i)]);
  return t;
}
Numbers numbers(const Tensor& t) {
  Numbers x;
  for (int64_t i = 0; i < t.numel(); ++i) x.push_back(get(t, i));
  return x;
}
double distance(const Numbers& a, const Numbers& b) {
  double off = 0;
  double size = 0;
  EXPECT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    off += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(off / size);
}

/// All options of mssa at once, one head, straight from the words of ops/score_rows.h.
Numbers expected_head(const double* w, const double* c, double temperature) {
  Numbers q(n * p);
  Numbers k(n * p);
  for (int64_t i = 0; i < n; ++i) {
    for (const bool key : {false, true}) {
      double x[p];
      double squares = 0;
      for (int64_t a = 0; a < p; ++a) {
        x[a] = w[i * d + a] + (key && i > 0 ? c[a] * w[(i - 1) * d + a] : 0);
        squares += x[a] * x[a];
      }
      const double r = (key ? 1 : temperature) / std::sqrt(squares / p + 1e-6);
      for (int64_t a = 0; a < p / 2; ++a) {
        const double angle = static_cast<double>(i) * std::pow(10000.0, -2.0 * static_cast<double>(a) / p);
        double* to = (key ? k : q).data() + i * p + a;
        to[0] = r * (x[a] * std::cos(angle) - x[a + p / 2] * std::sin(angle));
        to[p / 2] = r * (x[a] * std::sin(angle) + x[a + p / 2] * std::cos(angle));
      }
    }
  }
  Numbers out(n * p);
  for (int64_t i = 0; i < n; ++i) {
    double total = 0;
    for (int64_t j = 0; j <= i; ++j) {
      double s = 0;
      for (int64_t a = 0; a < p; ++a) s += q[i * p + a] * k[j * p + a];
      const double weight = std::exp(s / std::sqrt(static_cast<double>(p)));
      total += weight;
      for (int64_t a = 0; a < p; ++a) out[i * p + a] += weight * w[j * d + a];
    }
    double along = 0;
    double squares = 0;
    for (int64_t a = 0; a < p; ++a) {
      along += out[i * p + a] / total * w[i * d + a];
      squares += w[i * d + a] * w[i * d + a];
    }
    for (int64_t a = 0; a < p; ++a) out[i * p + a] = out[i * p + a] / total - along / squares * w[i * d + a];
  }
  return out;
}

struct Inputs {
  Numbers w = draw(1, batch*n*d), shift = draw(2, d), temperature = draw(3, heads, 2.0);
  Numbers qkv = draw(4, batch* n * 3 * d);
};

class Attention : public ::testing::TestWithParam<DeviceKind> {
 protected:
  Device device_{{.kind = GetParam()}};
  Inputs in_;
  bool is_ref() const { return GetParam() == DeviceKind::ref; }

  MssaArgs all_options(crate::Run& run) const {
    return {.heads = heads,
            .causal = true,
            .shift = tensor(run, {d}, in_.shift),
            .temperature = tensor(run, {heads}, in_.temperature),
            .rotary = true,
            .exclusive = true};
  }
};

TEST_P(Attention, AllOptionsFollowTheirFormulas) {
  crate::Run run(device_);
  const Numbers out = numbers(mssa(run, tensor(run, {batch, n, d}, in_.w), all_options(run)));
  Numbers expected(out.size());
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      const Numbers head = expected_head(&in_.w[b * n * d + h * p], &in_.shift[h * p], in_.temperature[h]);
      for (int64_t i = 0; i < n * p; ++i) expected[b * n * d + i / p * d + h * p + i % p] = head[i];
    }
  }
  // The excluded part of the first token is all of it (y = w): what remains there is rounding.
  EXPECT_LT(distance(out, expected), is_ref() ? 1e-12 : 5e-6);
}

/// Tokens lo .. hi of a (batch, n, width) tensor.
Numbers tokens(const Numbers& x, int64_t width, int64_t lo, int64_t hi) {
  Numbers part;
  for (int64_t b = 0; b < batch; ++b) {
    part.insert(part.end(), x.begin() + (b * n + lo) * width, x.begin() + (b * n + hi) * width);
  }
  return part;
}

TEST_P(Attention, DecodingWithACacheGivesTheSameRows) {
  crate::Run run(device_);
  const MssaArgs whole = all_options(run);
  const MhaArgs whole_mha{.heads = heads, .causal = true, .temperature = whole.temperature, .rotary = true};
  const Numbers out = numbers(mssa(run, tensor(run, {batch, n, d}, in_.w), whole));
  const Numbers out_mha = numbers(mha(run, tensor(run, {batch, n, 3 * d}, in_.qkv), whole_mha));
  TokenCache cache{run.make({batch, n + 2, d}), 0};
  TokenCache cache_mha{run.make({batch, n, 2 * d}), 0};
  MssaArgs args = whole;
  args.cache = &cache;
  MhaArgs args_mha = whole_mha;
  args_mha.cache = &cache_mha;
  int64_t lo = 0;
  for (const int64_t hi : {7, 8, 9, 14, 16, 19}) {  // a prompt, single tokens, a few at once
    SCOPED_TRACE(hi);
    const Tensor part = mssa(run, tensor(run, {batch, hi - lo, d}, tokens(in_.w, d, lo, hi)), args);
    EXPECT_LT(distance(numbers(part), tokens(out, d, lo, hi)), is_ref() ? 1e-12 : 2e-5);
    const Tensor part_mha = mha(run, tensor(run, {batch, hi - lo, 3 * d}, tokens(in_.qkv, 3 * d, lo, hi)), args_mha);
    EXPECT_LT(distance(numbers(part_mha), tokens(out_mha, d, lo, hi)), is_ref() ? 1e-12 : 2e-6);
    EXPECT_EQ(cache.used, hi);
    EXPECT_EQ(cache_mha.used, hi);
    lo = hi;
  }
}

TEST_P(Attention, KeptKeysAreThoseThatWouldBeMadeAgain) {
  crate::Run run(device_);
  MssaArgs args = all_options(run);
  args.shift = {};
  TokenCache cache{run.make({batch, n, d}), 0};
  TokenCache keeping{run.make({batch, n, d}), 0, run.make({batch * heads, n, d / heads})};
  int64_t lo = 0;
  for (const int64_t hi : {7, 8, 9, 14, 16, 19}) {
    SCOPED_TRACE(hi);
    const Tensor part = tensor(run, {batch, hi - lo, d}, tokens(in_.w, d, lo, hi));
    args.cache = &cache;
    const Numbers made = numbers(mssa(run, part, args));
    args.cache = &keeping;
    EXPECT_LT(distance(numbers(mssa(run, part, args)), made), is_ref() ? 1e-15 : 1e-6);
    lo = hi;
  }
  args.shift = run.constant({d}, 0.5);
  keeping.used = 0;
  EXPECT_THROW(mssa(run, tensor(run, {batch, n, d}, in_.w), args), Error);
}

TEST_P(Attention, LaterTokensDoNotReachEarlierOnes) {
  crate::Run run(device_);
  const Numbers before = numbers(mssa(run, tensor(run, {batch, n, d}, in_.w), all_options(run)));
  Inputs changed = in_;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t c = 0; c < d; ++c) changed.w[(b * n + 12) * d + c] += 1;
  }
  const Numbers after = numbers(mssa(run, tensor(run, {batch, n, d}, changed.w), all_options(run)));
  EXPECT_EQ(tokens(before, d, 0, 12), tokens(after, d, 0, 12));
  EXPECT_NE(tokens(before, d, 12, 13), tokens(after, d, 12, 13));
}

class PatternTap : public Tap {
 public:
  explicit PatternTap(bool edits) : edits_(edits) {}
  bool wants(std::string_view site) override { return site == "blocks.1.mssa.pattern"; }
  void see(std::string_view, const Tensor& value) override {
    shape = value.shape;
    pattern = numbers(value);
  }
  bool edits(std::string_view site) override { return edits_ && wants(site); }
  void edit(std::string_view, const Tensor& value) override {
    for (int64_t i = 0; i < value.numel(); ++i) set(value, i, i % n == 4 ? 1.0 : 0.0);  // everyone looks at token 4
  }
  Shape shape;
  Numbers pattern;

 private:
  bool edits_;
};

TEST_P(Attention, ATapSeesThePattern) {
  PatternTap tap(false);
  crate::Run run(device_, {.tap = &tap});
  MssaArgs args = all_options(run);
  args.exclusive = false;
  args.site.prefix = "blocks.1.mssa.";
  const Numbers out = numbers(mssa(run, tensor(run, {batch, n, d}, in_.w), args));
  ASSERT_EQ(tap.shape, (Shape{batch, heads, n, n}));
  Numbers mixed(out.size());
  for (int64_t row = 0; row < batch * heads * n; ++row) {
    const int64_t b = row / (heads * n);
    const int64_t h = row / n % heads;
    double total = 0;
    for (int64_t j = 0; j < n; ++j) {
      const double weight = tap.pattern[row * n + j];
      total += weight;
      EXPECT_TRUE(j <= row % n || weight == 0.0);
      for (int64_t c = 0; c < p; ++c) {
        mixed[(b * n + row % n) * d + h * p + c] += weight * in_.w[(b * n + j) * d + h * p + c];
      }
    }
    EXPECT_NEAR(total, 1.0, 1e-6);
  }
  EXPECT_LT(distance(out, mixed), is_ref() ? 1e-13 : 1e-6);
}

TEST_P(Attention, AnEditedPatternIsUsed) {
  PatternTap tap(true);
  crate::Run run(device_, {.tap = &tap});
  const MssaArgs args{.heads = heads, .causal = true, .site = {"blocks.1.mssa."}};
  const Numbers out = numbers(mssa(run, tensor(run, {batch, n, d}, in_.w), args));
  for (int64_t i = 0; i < batch * n; ++i) {
    for (int64_t c = 0; c < d; ++c) EXPECT_EQ(out[i * d + c], in_.w[(i / n * n + 4) * d + c]);
  }
}

TEST_P(Attention, ARowOfZerosIsExcludedSafely) {
  crate::Run run(device_);
  Inputs zero = in_;
  std::fill_n(zero.w.begin() + 3 * d, d, 0.0);
  const MssaArgs args{.heads = heads, .causal = true, .exclusive = true};
  for (const double x : numbers(mssa(run, tensor(run, {batch, n, d}, zero.w), args))) EXPECT_TRUE(std::isfinite(x));
}

TEST_P(Attention, ThreadsDoNotChangeABit) {
  const auto gradient = [&](int threads) {
    const int former = thread_count();
    set_thread_count(threads);
    crate::Run run(device_, {.record = true});
    Param w{"w", tensor(run, {batch, n, d}, in_.w), run.make({batch, n, d})};
    Param shift{"shift", tensor(run, {d}, in_.shift), run.make({d})};
    Param temperature{"temperature", tensor(run, {heads}, in_.temperature), run.make({heads})};
    MssaArgs args = all_options(run);
    args.shift = run.param(shift);
    args.temperature = run.param(temperature);
    const Tensor out = mssa(run, run.param(w), args);
    const Tensor d_out = run.seed_grad(out).to;
    for (int64_t i = 0; i < d_out.numel(); ++i) set(d_out, i, in_.qkv[static_cast<std::size_t>(i)]);
    run.walk();
    set_thread_count(former);
    Numbers all = numbers(out);
    for (const Param* param : {&w, &shift, &temperature}) {
      for (const double x : numbers(param->grad)) all.push_back(x);
    }
    return all;
  };
  const Numbers one = gradient(1);
  EXPECT_EQ(one, gradient(2));
  EXPECT_EQ(one, gradient(5));
}

TEST_P(Attention, WrongInputsAreNamed) {
  crate::Run run(device_);
  crate::Run recording(device_, {.record = true});
  const Tensor w = tensor(run, {batch, n, d}, in_.w);
  TokenCache small{run.make({batch, n - 1, d}), 0};
  TokenCache narrow{run.make({batch, n, d - 1}), 0};
  EXPECT_THROW(mssa(run, w, {.heads = 4}), Error);
  EXPECT_THROW(mssa(run, w, {.heads = 0}), Error);
  EXPECT_THROW(mssa(run, w, {.heads = d, .rotary = true}), Error);
  EXPECT_THROW(mssa(run, w, {.heads = heads, .shift = run.make({d + 1})}), Error);
  EXPECT_THROW(mssa(run, w, {.heads = heads, .temperature = run.make({d})}), Error);
  EXPECT_THROW(mssa(run, w, {.heads = heads, .causal = true, .cache = &small}), Error);
  EXPECT_THROW(mssa(run, w, {.heads = heads, .causal = true, .cache = &narrow}), Error);
  EXPECT_THROW(mssa(run, w, {.heads = heads, .causal = false, .cache = &small}), Error);
  EXPECT_THROW(mssa(recording, w, {.heads = heads, .causal = true, .cache = &small}), Error);
  EXPECT_THROW(mssa(run, w.reshaped({batch * n, d}), {.heads = heads}), Error);
  EXPECT_THROW(mha(run, run.make({batch, n, 3 * d + 1}), {.heads = heads}), Error);
  EXPECT_EQ(small.used, 0);
}

TEST(AttentionMemory, NoPatternIsHeldWhenNobodyAsks) {
  constexpr int64_t many = 1500;
  Device device;
  crate::Run run(device, {.record = true});
  const Tensor w = tensor(run, {1, many, 16}, draw(7, many * 16));
  const std::size_t before = device.pool().bytes_in_use();
  device.pool().reset_peak();
  run.backward(mssa(run, w, {.heads = 1, .causal = true}));
  EXPECT_LT(device.pool().peak_bytes() - before, many * many * sizeof(float) / 3);
}

INSTANTIATE_TEST_SUITE_P(Devices, Attention, ::testing::Values(DeviceKind::ref, DeviceKind::cpu),
                         [](const auto& kind) { return std::string(name_of(kind.param)); });

}  // namespace
}  // namespace crate
