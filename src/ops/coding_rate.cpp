// The cpu kernels bring a matrix into the layout (s, long) in float64, s the smaller side: then the Gram matrix is dot
// products of contiguous rows, and both triangular solves add multiples of whole rows.
#include "ops/coding_rate.h"

#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "tensor/vector.h"

namespace crate {
namespace {

CRATE_CLONES double dot(const double* a, const double* b, int64_t n) {
  double s[vec::lanes] = {};
  int64_t j = 0;
  for (; j + vec::lanes <= n; j += vec::lanes) {
#pragma omp simd
    for (int l = 0; l < vec::lanes; ++l) s[l] += a[j + l] * b[j + l];
  }
  for (int l = 0; j < n; ++j, ++l) s[l] += a[j] * b[j];
  for (int width = vec::lanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) s[l] += s[l + width];
  return s[0];
}

CRATE_CLONES void subtract_row(double* to, const double* row, double factor, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) to[j] -= factor * row[j];
}

CRATE_CLONES void divide_row(double* row, double by, int64_t n) {
  const double factor = 1 / by;
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) row[j] *= factor;
}

// A matrix as (side, longer) in float64, the smaller side first.
struct Sideways {
  int64_t side, longer;
  bool turned;  // rows of z became columns
  std::vector<double> values, lengths;

  double at(int64_t i, int64_t j) const {  // of z
    return values[static_cast<std::size_t>(turned ? j * longer + i : i * longer + j)];
  }
  double* row(int64_t i) { return values.data() + i * longer; }

  template <class T> Sideways(const RowsOf<T>& z, bool unit_rows) {
    turned = z.d <= z.n;
    side = std::min(z.n, z.d);
    longer = std::max(z.n, z.d);
    values.resize(static_cast<std::size_t>(side * longer));
    lengths.assign(static_cast<std::size_t>(z.n), 1.0);
    for (int64_t i = 0; i < z.n; ++i) {
      const T* from = z.data + i * z.stride;
      double squares = 0;
      for (int64_t j = 0; j < z.d && unit_rows; ++j) squares += double{from[j]} * double{from[j]};
      double& length = lengths[static_cast<std::size_t>(i)];
      if (squares > 0) length = std::sqrt(squares);
      for (int64_t j = 0; j < z.d; ++j)
        values[static_cast<std::size_t>(turned ? j * longer + i : i * longer + j)] = double{from[j]} / length;
    }
  }
};

// The lower triangle of l becomes the factor of I + alpha s s'; gives sum of log L_ii.
double factorise(Sideways& s, double alpha, double* l) {
  const int64_t side = s.side;
  double rate = 0;
  for (int64_t i = 0; i < side; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      const double g = (i == j ? 1.0 : 0.0) + alpha * dot(s.row(i), s.row(j), s.longer);
      const double rest = g - dot(l + i * side, l + j * side, j);
      l[i * side + j] = i == j ? std::sqrt(rest) : rest / l[j * side + j];
    }
    rate += std::log(l[i * side + i]);
  }
  return rate;
}

// s becomes (L L')^-1 s.
void solve(Sideways& s, const double* l) {
  const int64_t side = s.side, n = s.longer;
  for (int64_t i = 0; i < side; ++i) {
    for (int64_t k = 0; k < i; ++k) subtract_row(s.row(i), s.row(k), l[i * side + k], n);
    divide_row(s.row(i), l[i * side + i], n);
  }
  for (int64_t i = side - 1; i >= 0; --i) {
    for (int64_t k = i + 1; k < side; ++k) subtract_row(s.row(i), s.row(k), l[k * side + i], n);
    divide_row(s.row(i), l[i * side + i], n);
  }
}

template <class T> double rate_of(const RowsOf<T>& z, double alpha, bool unit_rows) {
  Sideways s(z, unit_rows);
  std::vector<double> l(static_cast<std::size_t>(s.side * s.side));
  return factorise(s, alpha, l.data());
}

RowsOf<float> matrix(const CodingRateCall& c, int64_t m) {
  return {c.z.as<float>() + c.begin(m), c.n(), c.d(), c.z.cols()};
}

void forward_ref(Device&, const CodingRateCall& c) {
  visit_ref(c.z.dtype, [&](auto zero) { ref::coding_rate<decltype(zero)>(c); });
}

void forward_cpu(Device&, const CodingRateCall& c) {
  const int64_t side = c.side();
  float* rates = c.rates.as<float>();
  double* factors = c.factor.as<double>();
  parallel_for(c.rates.numel(), 1, [&](int64_t lo, int64_t hi) {
    for (int64_t m = lo; m < hi; ++m) {
      Sideways s(matrix(c, m), c.args.unit_rows);
      rates[m] = static_cast<float>(factorise(s, c.args.alpha, factors + m * side * side));
    }
  });
}

void backward_ref(Device&, const CodingRateCall& c, const CodingRateGrad& to) {
  visit_ref(c.z.dtype, [&](auto zero) { ref::coding_rate_backward<decltype(zero)>(c, to); });
}

void backward_cpu(Device&, const CodingRateCall& c, const CodingRateGrad& to) {
  if (!to.d_z) return;
  const int64_t n = c.n(), d = c.d(), side = c.side(), stride = c.z.cols();
  float* d_z = to.d_z.to.as<float>();
  parallel_for(c.rates.numel(), 1, [&](int64_t lo, int64_t hi) {
    for (int64_t m = lo; m < hi; ++m) {
      Sideways s(matrix(c, m), c.args.unit_rows);
      const Sideways u = s;
      solve(s, c.factor.as<double>() + m * side * side);
      const double factor = c.args.alpha * to.d_rates.as<float>()[m];
      for (int64_t i = 0; i < n; ++i) {
        float* out = d_z + c.begin(m) + i * stride;
        double along = 0;
        for (int64_t j = 0; j < d && c.args.unit_rows; ++j) along += u.at(i, j) * s.at(i, j);
        const double scale = factor / u.lengths[static_cast<std::size_t>(i)];
        for (int64_t j = 0; j < d; ++j) {
          const double g = scale * (s.at(i, j) - along * u.at(i, j));
          out[j] = static_cast<float>(to.d_z.add ? out[j] + g : g);
        }
      }
    }
  });
}

constexpr Kernels<void(Device&, const CodingRateCall&)> forward{"coding_rate", forward_ref, forward_cpu};
constexpr Kernels<void(Device&, const CodingRateCall&, const CodingRateGrad&)> backward{"coding_rate backward",
                                                                                        backward_ref, backward_cpu};

}  // namespace

double coding_rate_of(const RowsOf<float>& z, double alpha, bool unit_rows) { return rate_of(z, alpha, unit_rows); }
double coding_rate_of(const RowsOf<double>& z, double alpha, bool unit_rows) { return rate_of(z, alpha, unit_rows); }

Tensor coding_rate(Run& run, const Tensor& z, const CodingRateArgs& args) {
  require(z.shape.rank() >= 2, "[coding_rate] expected rows of tokens (.., n, d), came {}", z.shape.str());
  require(args.heads > 0 && z.cols() % args.heads == 0, "[coding_rate] {} columns do not fall into {} heads", z.cols(),
          args.heads);
  require(args.alpha > 0, "[coding_rate] alpha must be > 0, came {}", args.alpha);
  const int64_t n = z.shape[-2], matrices = z.rows() / n * args.heads, side = std::min(n, z.cols() / args.heads);
  const Dtype exact = run.real() == Dtype::f32 ? Dtype::f64 : run.real();
  const CodingRateCall call{z, args, run.make({matrices}), run.make({matrices, side, side}, exact)};
  const DeviceKind kind = run.device().kind();
  forward.on(kind)(run.device(), call);
  const Cost cost = coding_rate_cost(matrices, n, call.d());
  run.record("coding_rate", call.rates, cost, {2 * cost.flops, 2 * cost.bytes}, [&run, call, kind] {
    const Tensor d_rates = run.grad_of(call.rates);
    backward.on(kind)(run.device(), call, {d_rates, run.grad_to(call.z)});
  });
  return call.rates;
}

Cost coding_rate_cost(int64_t matrices, int64_t n, int64_t d) {
  const auto m = static_cast<double>(matrices), side = static_cast<double>(std::min(n, d));
  const auto longer = static_cast<double>(std::max(n, d));
  return {m * side * side * (longer + side / 3), 4 * m * side * longer};
}

}  // namespace crate
