// muon: one update of one weight matrix whose step is the momentum made orthogonal: every direction that the gradient
// asks for is followed equally far, however small its singular value. No tape. With g = grad_scale * grad:
//
//   m = beta m + (1 - beta) g                u = beta m + (1 - beta) g                  (a look ahead, after Nesterov)
//   X = u / |u|,  then 5 times  X = a X + b (X X') X + c (X X') (X X') X                (Newton and Schulz)
//   p -= lr (0.2 sqrt(max(rows, cols)) X + decay p)
//
// The polynomial a s + b s^3 + c s^5, a = 3.4445, b = -4.7750, c = 2.0315, draws every singular value s of X that is
// not tiny into about [0.7, 1.2]. Jordan and others, "Muon: an optimizer for hidden layers in neural networks", 2024.
// The factor gives X the root mean square of a step of AdamW (about 0.2 lr), so that both take one learning rate: Liu
// and others, "Muon is scalable for LLM training", 2025, arXiv 2502.16982. A matrix of several maps stacked by rows
// (query, key and value of the twin) is orthogonalised map by map.
#pragma once
#include <cmath>
#include <vector>

#include "tensor/device.h"

namespace crate {

struct Muon {
  double lr = 1e-3;
  double beta = 0.95;
  double decay = 0;
  int64_t parts = 1;      // maps stacked by rows; rows is a multiple of it
  double grad_scale = 1;  // e.g. the factor of norm clipping
};

/// All of one shape (rows, cols), in the device's real dtype; value and m are updated in place, m starts at 0.
struct MuonState {
  Tensor value, grad, m;
};

/// Throws Error when the shapes do not fit. The caller declares weights_changed() once all parameters are updated.
void muon_step(Device& device, const MuonState& state, const Muon& options);

constexpr int newton_schulz_steps = 5;
constexpr double newton_schulz[] = {3.4445, -4.7750, 2.0315};  // a, b, c
constexpr double smallest_norm = 1e-7;                         // a gradient of zeros stays zeros

/// What X is multiplied with before it is subtracted.
inline double muon_scale(int64_t rows, int64_t cols) {
  return 0.2 * std::sqrt(static_cast<double>(rows > cols ? rows : cols));
}

namespace ref {

/// X (rows, cols), in place.
template <class T> void orthogonalise(std::vector<T>& x, int64_t rows, int64_t cols) {
  T squares = 0;
  for (const T& value : x) squares += value * value;
  for (T& value : x) value /= std::sqrt(squares) + smallest_norm;
  for (int step = 0; step < newton_schulz_steps; ++step) {
    std::vector<T> gram(rows * rows), poly(rows * rows), next(rows * cols);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t k = 0; k < rows; ++k)
        for (int64_t j = 0; j < cols; ++j) gram[i * rows + k] += x[i * cols + j] * x[k * cols + j];
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < rows; ++k) {
        T square = 0;
        for (int64_t j = 0; j < rows; ++j) square += gram[i * rows + j] * gram[j * rows + k];
        poly[i * rows + k] = newton_schulz[1] * gram[i * rows + k] + newton_schulz[2] * square;
      }
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        next[i * cols + j] = newton_schulz[0] * x[i * cols + j];
        for (int64_t k = 0; k < rows; ++k) next[i * cols + j] += poly[i * rows + k] * x[k * cols + j];
      }
    }
    x = next;
  }
}

template <class T> void muon(const MuonState& s, const Muon& o) {
  const int64_t rows = s.value.rows() / o.parts, cols = s.value.cols(), n = rows * cols;
  for (int64_t part = 0; part < o.parts; ++part) {
    T *p = s.value.as<T>() + part * n, *m = s.m.as<T>() + part * n;
    std::vector<T> x(n);
    for (int64_t i = 0; i < n; ++i) {
      const T g = o.grad_scale * s.grad.as<T>()[part * n + i];
      m[i] = o.beta * m[i] + (1 - o.beta) * g;
      x[i] = o.beta * m[i] + (1 - o.beta) * g;
    }
    orthogonalise(x, rows, cols);
    for (int64_t i = 0; i < n; ++i) p[i] -= o.lr * (muon_scale(rows, cols) * x[i] + o.decay * p[i]);
  }
}

}  // namespace ref

}  // namespace crate
