// The cpu kernel takes a Gram matrix of the shorter side and folds the polynomial into one matrix, a + b A + c A^2, so
// an iteration is three products; for (m, n), m <= n: 2 m n m, 2 m m m and 2 m m n operations.
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

// gram <- a + b gram + c square
void fold(const Tensor& gram, const Tensor& square) {
  const int64_t n = gram.rows();
  const auto [a, b, c] = std::array<float, 3>{
      static_cast<float>(newton_schulz[0]), static_cast<float>(newton_schulz[1]), static_cast<float>(newton_schulz[2])};
  float* g = gram.as<float>();
  const float* s = square.as<float>();
  for (int64_t i = 0; i < n * n; ++i) g[i] = b * g[i] + c * s[i];
  for (int64_t i = 0; i < n; ++i) g[i * n + i] += a;
}

// Leaves the result in x; y is of the same shape.
void orthogonalise(Device& device, Tensor& x, Tensor& y) {
  const bool tall = x.rows() > x.cols();
  const int64_t n = std::min(x.rows(), x.cols());
  scale(device, x, 1 / (std::sqrt(sum_of_squares(device, x)) + smallest_norm));
  const ScratchMatrix gram(device, n, n), square(device, n, n);
  for (int step = 0; step < newton_schulz_steps; ++step) {
    gemm(device, {.a = x, .b = x, .c = *gram, .trans_a = tall, .trans_b = !tall});
    gemm(device, {.a = *gram, .b = *gram, .c = *square});
    fold(*gram, *square);
    gemm(device, {.a = tall ? x : *gram, .b = tall ? *gram : x, .c = y});
    std::swap(x, y);
  }
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
