// coding_rate: how many nats it takes to tell the rows of Z apart at a given precision (Ma et al., 2007; Yu et al.,
// 2020).
//
//   R(Z) = 1/2 logdet(I_d + alpha Z'Z) = 1/2 logdet(I_n + alpha Z Z')        Z (n, d): one row a token
//
// The smaller of the two Gram matrices, G = I + alpha Z'Z (d <= n) or I + alpha Z Z', has the Cholesky factor L, and
// R = sum of log L_ii. With alpha = d / (n eps^2) this is R at precision eps; of the coordinates U_k'z of a subspace
// and alpha = p / (n eps^2), summed over k, it is R^c(Z | U), the rate against the subspaces.
//
// backward:  d_Z = alpha d_R Z G^-1   (d <= n)        d_Z = alpha d_R G^-1 Z   (n < d)
//
// Of unit rows u = z / |z|:  d_z = (d_u - u (u'd_u)) / |z|.
//
// The log-determinant is ill-conditioned when the tokens have low rank and alpha is large: every device works in
// float64 from the lengths of the rows on, whatever its tensors hold.
#pragma once
#include <cmath>
#include <vector>

#include "ops/reference.h"
#include "run/run.h"

namespace crate {

struct CodingRateArgs {
  double alpha = 1;
  int64_t heads = 1;       // the columns are so many matrices side by side
  bool unit_rows = false;  // every row of a matrix is first scaled to length 1; a row of zeros stays
};

/// z (.., n, heads p) -> (matrices): one rate a leading index and head, heads fastest. Throws Error when the shapes do
/// not fit.
Tensor coding_rate(Run& run, const Tensor& z, const CodingRateArgs& args);

Cost coding_rate_cost(int64_t matrices, int64_t n, int64_t d);

/// A matrix inside a larger one: row i begins at data + i stride.
template <class T> struct RowsOf {
  const T* data;
  int64_t n, d, stride;
};

/// The same number without a run, for measuring.
double coding_rate_of(const RowsOf<float>& z, double alpha, bool unit_rows = false);
double coding_rate_of(const RowsOf<double>& z, double alpha, bool unit_rows = false);

/// One call as its kernels see it. `factor` (matrices, s, s) receives L, s = min(n, d); f64 on cpu.
struct CodingRateCall {
  Tensor z;
  CodingRateArgs args;
  Tensor rates, factor;
  int64_t n() const { return z.shape[-2]; }
  int64_t d() const { return z.cols() / args.heads; }
  int64_t side() const { return std::min(n(), d()); }
  /// Where matrix m begins in z.
  int64_t begin(int64_t m) const { return m / args.heads * n() * z.cols() + m % args.heads * d(); }
};
struct CodingRateGrad {
  Tensor d_rates;
  GradTo d_z;
};

namespace ref {

/// The lower triangle of a symmetric matrix becomes its Cholesky factor; what lies above stays. Complex symmetric, not
/// Hermitian: the analytic continuation, which the complex step needs.
template <class T> void cholesky(T* g, int64_t side) {
  for (int64_t i = 0; i < side; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      T sum = g[i * side + j];
      for (int64_t k = 0; k < j; ++k) sum -= g[i * side + k] * g[j * side + k];
      g[i * side + j] = i == j ? std::sqrt(sum) : sum / g[j * side + j];
    }
  }
}

/// x becomes (L L')^-1 x.
template <class T> void cholesky_solve(const T* l, int64_t side, T* x, int64_t stride) {
  for (int64_t i = 0; i < side; ++i) {
    for (int64_t k = 0; k < i; ++k) x[i * stride] -= l[i * side + k] * x[k * stride];
    x[i * stride] /= l[i * side + i];
  }
  for (int64_t i = side - 1; i >= 0; --i) {
    for (int64_t k = i + 1; k < side; ++k) x[i * stride] -= l[k * side + i] * x[k * stride];
    x[i * stride] /= l[i * side + i];
  }
}

/// A matrix of z on its own, its rows scaled when asked; `lengths` receives what they were divided by.
template <class T> std::vector<T> matrix_of(const CodingRateCall& c, int64_t m, std::vector<T>& lengths) {
  const int64_t n = c.n(), d = c.d();
  std::vector<T> out(static_cast<std::size_t>(n * d));
  lengths.assign(static_cast<std::size_t>(n), T{1});
  for (int64_t i = 0; i < n; ++i) {
    const T* row = c.z.as<T>() + c.begin(m) + i * c.z.cols();
    T squares{0};
    for (int64_t j = 0; j < d; ++j) squares += row[j] * row[j];
    T& length = lengths[static_cast<std::size_t>(i)];
    if (c.args.unit_rows && re(squares) > 0) length = std::sqrt(squares);
    for (int64_t j = 0; j < d; ++j) out[static_cast<std::size_t>(i * d + j)] = row[j] / length;
  }
  return out;
}

template <class T> void coding_rate(const CodingRateCall& c) {
  const int64_t n = c.n(), d = c.d(), side = c.side();
  const bool over_columns = d <= n;
  std::vector<T> lengths;
  for (int64_t m = 0; m < c.rates.numel(); ++m) {
    const std::vector<T> z = matrix_of(c, m, lengths);
    const auto at = [&](int64_t i, int64_t k) {
      return z[static_cast<std::size_t>(over_columns ? k * d + i : i * d + k)];
    };
    T* g = c.factor.as<T>() + m * side * side;
    for (int64_t i = 0; i < side; ++i) {
      for (int64_t j = 0; j < side; ++j) {
        T sum{0};
        for (int64_t k = 0; k < std::max(n, d); ++k) sum += at(i, k) * at(j, k);
        g[i * side + j] = T(i == j ? 1.0 : 0.0) + c.args.alpha * sum;
      }
    }
    cholesky(g, side);
    T rate{0};
    for (int64_t i = 0; i < side; ++i) rate += std::log(g[i * side + i]);
    c.rates.as<T>()[m] = rate;
  }
}

template <class T> void coding_rate_backward(const CodingRateCall& c, const CodingRateGrad& to) {
  const int64_t n = c.n(), d = c.d(), side = c.side();
  T* d_z = opened<T>(to.d_z);
  std::vector<T> lengths;
  for (int64_t m = 0; d_z && m < c.rates.numel(); ++m) {
    const std::vector<T> z = matrix_of(c, m, lengths);
    std::vector<T> g = z;
    for (int64_t k = 0; k < std::max(n, d); ++k)  // one row of Z, or one column, at a time
      cholesky_solve(c.factor.as<T>() + m * side * side, side, g.data() + (d <= n ? k * d : k), d <= n ? 1 : d);
    for (int64_t i = 0; i < n; ++i) {
      const T *u = z.data() + i * d, *d_u = g.data() + i * d;
      T along{0};
      for (int64_t j = 0; j < d && c.args.unit_rows; ++j) along += u[j] * d_u[j];
      T* out = d_z + c.begin(m) + i * c.z.cols();
      const T factor = c.args.alpha * to.d_rates.as<T>()[m] / lengths[static_cast<std::size_t>(i)];
      for (int64_t j = 0; j < d; ++j) out[j] += factor * (d_u[j] - along * u[j]);
    }
  }
}

}  // namespace ref

}  // namespace crate
