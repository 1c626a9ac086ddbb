// The cpu kernel takes the Gram matrix of the shorter side, G = X X', and folds the polynomial into one matrix,
// P = a + b G + c G^2, so an iteration is three products, G, G^2 and P X: 10 m^3 + 20 m^2 n operations in all for (m,
// n), m <= n. P and G commute, so a long X can wait until the end: G <- P G P five times, then (P_5 .. P_1) X, which is
// 34 m^3 + 4 m^2 n. Its small singular values are known as squares, to a rounding of the largest: 1e-7 in f32, which
// the polynomial makes 1e-3 at most; bf16 would let them grow without bound, so there X goes along. That took 11 % off
// the CPU time of learning while coding (0.83 M numbers, 512 bytes a step; medians of three pairs).
#include "ops/muon.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/parallel.h"
#include "ops/optimiser.h"
#include "tensor/gemm.h"
#include "tensor/scratch_matrix.h"
#include "tensor/vector.h"

namespace crate {
namespace {

constexpr int64_t grain = 1 << 13;  // numbers below which a second thread does not pay

struct Factors {
  float beta, fresh, grad_scale;
};

CRATE_CLONES void look_ahead(const float* grad, float* m, float* x, const Factors& f, int64_t n) {
  const Factors o = f;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float g = o.grad_scale * grad[i];
    m[i] = o.beta * m[i] + o.fresh * g;
    x[i] = o.beta * m[i] + o.fresh * g;
  }
}

CRATE_CLONES void descend(float* p, const float* x, float keep, float step, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) p[i] = keep * p[i] - step * x[i];
}

// g <- b g + c s
CRATE_CLONES void mix(float* g, const float* s, float b, float c, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) g[i] = b * g[i] + c * s[i];
}

// gram <- a + b gram + c square
void fold(const Tensor& gram, const Tensor& square) {
  const int64_t n = gram.rows();
  const auto [a, b, c] = std::array<float, 3>{
      static_cast<float>(newton_schulz[0]), static_cast<float>(newton_schulz[1]), static_cast<float>(newton_schulz[2])};
  float* g = gram.as<float>();
  mix(g, square.as<float>(), b, c, n * n);
  for (int64_t i = 0; i < n; ++i) g[i * n + i] += a;
}

void multiply(Device& device, const Tensor& a, const Tensor& b, const Tensor& c) {
  gemm(device, {.a = a, .b = b, .c = c});
}

// X, and where a product of it goes.
struct Iterate {
  Tensor x, y;
  bool tall = x.rows() > x.cols();
  int64_t shorter = std::min(x.rows(), x.cols()), longer = std::max(x.rows(), x.cols());

  void make_gram(Device& device, const Tensor& gram) const {
    gemm(device, {.a = x, .b = x, .c = gram, .trans_a = tall, .trans_b = !tall});
  }
  void apply(Device& device, const Tensor& p) {
    multiply(device, tall ? x : p, tall ? p : x, y);
    std::swap(x, y);
  }
};

void orthogonalise_at_once(Device& device, Iterate& at) {
  const int64_t n = at.shorter;
  const ScratchMatrix gram(device, n, n), square(device, n, n);
  for (int step = 0; step < newton_schulz_steps; ++step) {
    at.make_gram(device, *gram);
    multiply(device, *gram, *gram, *square);
    fold(*gram, *square);
    at.apply(device, *gram);
  }
}

// Five matrices of (n, n): G, P, the product of all P, and room for two products.
void orthogonalise_by_gram(Device& device, Iterate& at) {
  const int64_t n = at.shorter;
  const ScratchMatrix grams(device, n, n), ps(device, n, n), alls(device, n, n), ones(device, n, n), twos(device, n, n);
  Tensor gram = *grams, p = *ps, all = *alls, one = *ones, two = *twos;
  at.make_gram(device, gram);
  for (int step = 0; step < newton_schulz_steps; ++step) {
    multiply(device, gram, gram, one);
    std::copy_n(gram.as<float>(), n * n, p.as<float>());
    fold(p, one);
    if (step == 0) {
      std::copy_n(p.as<float>(), n * n, all.as<float>());
    } else {
      multiply(device, p, all, one);
      std::swap(all, one);
    }
    if (step + 1 == newton_schulz_steps) break;
    multiply(device, p, gram, one);
    multiply(device, one, p, two);
    std::swap(gram, two);
  }
  at.apply(device, all);
}

// Leaves the result in x; y is of the same shape.
void orthogonalise(Device& device, Tensor& x, Tensor& y) {
  scale(device, x, 1 / (std::sqrt(sum_of_squares(device, x)) + smallest_norm));
  Iterate at{x, y};
  if (device.products() == Products::f32 && 2 * at.longer > 3 * at.shorter)
    orthogonalise_by_gram(device, at);
  else
    orthogonalise_at_once(device, at);
  x = at.x;
  y = at.y;
}

void muon_ref(Device&, const MuonState& s, const Muon& o) {
  visit_ref(s.value.dtype, [&](auto zero) { ref::muon<decltype(zero)>(s, o); });
}

void muon_cpu(Device& device, const MuonState& s, const Muon& o) {
  const int64_t rows = s.value.rows() / o.parts, cols = s.value.cols(), n = rows * cols;
  const auto f32 = [](double x) { return static_cast<float>(x); };
  const Factors f{f32(o.beta), f32(1 - o.beta), f32(o.grad_scale)};
  const float keep = f32(1 - o.lr * o.decay), step = f32(o.lr * muon_scale(rows, cols));
  const ScratchMatrix first(device, rows, cols), second(device, rows, cols);
  for (int64_t part = 0; part < o.parts; ++part) {
    Tensor x = *first, y = *second;
    float *p = s.value.as<float>() + part * n, *m = s.m.as<float>() + part * n;
    const float* grad = s.grad.as<float>() + part * n;
    float* into = x.as<float>();
    parallel_for(n, grain, [&](int64_t lo, int64_t hi) { look_ahead(grad + lo, m + lo, into + lo, f, hi - lo); });
    orthogonalise(device, x, y);
    const float* by = x.as<float>();
    parallel_for(n, grain, [&](int64_t lo, int64_t hi) { descend(p + lo, by + lo, keep, step, hi - lo); });
  }
}

constexpr Kernels<void(Device&, const MuonState&, const Muon&)> muon{"muon", muon_ref, muon_cpu};

}  // namespace

void muon_step(Device& device, const MuonState& state, const Muon& options) {
  const Tensor& p = state.value;
  require(p.shape.rank() == 2, "[muon] value must be a matrix, came {}", p.shape.str());
  for (const auto& [name, t] : {std::pair{"grad", state.grad}, std::pair{"m", state.m}}) {
    require(t.shape == p.shape && t.dtype == p.dtype, "[muon] {} must be {} {}, came {} {}", name, name_of(p.dtype),
            p.shape.str(), name_of(t.dtype), t.shape.str());
  }
  require(options.parts >= 1 && p.rows() % options.parts == 0, "[muon] {} rows are not {} equal parts", p.rows(),
          options.parts);
  muon.on(device.kind())(device, state, options);
}

}  // namespace crate
