#include "base/dense.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace crate {
namespace {

// The angle that makes a_pq vanish, by the smaller of the two rotations that do (Golub and Van Loan, section 8.5).
void rotation(double pp, double qq, double pq, double& c, double& s) {
  const double theta = (qq - pp) / (2 * pq);
  const double t = (theta >= 0 ? 1.0 : -1.0) / (std::abs(theta) + std::sqrt(theta * theta + 1));
  c = 1 / std::sqrt(t * t + 1);
  s = t * c;
}

void turn_rows(double* p, double* q, int64_t n, double c, double s) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const double a = p[i], b = q[i];
    p[i] = c * a - s * b;
    q[i] = s * a + c * b;
  }
}

// One pass over all pairs; true when some rotation was worth doing.
bool sweep(std::vector<double>& a, std::vector<double>& v, int64_t n, double floor) {
  bool turned = false;
  for (int64_t p = 0; p < n; ++p) {
    for (int64_t q = p + 1; q < n; ++q) {
      double *row_p = a.data() + p * n, *row_q = a.data() + q * n;
      if (std::abs(row_p[q]) <= floor) continue;
      turned = true;
      double c, s;
      rotation(row_p[p], row_q[q], row_p[q], c, s);
      turn_rows(row_p, row_q, n, c, s);
      for (int64_t i = 0; i < n; ++i) turn_rows(a.data() + i * n + p, a.data() + i * n + q, 1, c, s);
      row_p[q] = row_q[p] = 0;
      turn_rows(v.data() + p * n, v.data() + q * n, n, c, s);
    }
  }
  return turned;
}

// From values in any order with one vector a row: falling, and of each vector and its negative the one whose largest
// entry is positive.
SymmetricEigen in_order(const std::vector<double>& values, const std::vector<double>& vectors) {
  const auto n = static_cast<int64_t>(values.size());
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return values[i] > values[j]; });
  SymmetricEigen out;
  for (const int64_t i : order) {
    const double* row = vectors.data() + i * n;
    const double* top = std::max_element(row, row + n, [](double x, double y) { return std::abs(x) < std::abs(y); });
    out.values.push_back(values[i]);
    for (int64_t j = 0; j < n; ++j) out.vectors.push_back(*top < 0 ? -row[j] : row[j]);
  }
  return out;
}

// One implicit QL step on rows low .. high with Wilkinson's shift, a chain of rotations from the bottom up.
void ql_step(std::vector<double>& d, std::vector<double>& e, std::vector<double>& v, int64_t low, int64_t high) {
  const auto n = static_cast<int64_t>(d.size());
  const double half = (d[low + 1] - d[low]) / (2 * e[low]);
  double g = d[high] - d[low] + e[low] / (half + std::copysign(std::hypot(half, 1.0), half));
  double s = 1, c = 1, moved = 0;
  for (int64_t i = high - 1; i >= low; --i) {
    const double f = s * e[i], b = c * e[i], r = std::hypot(f, g);
    e[i + 1] = r;
    if (r == 0) {  // the matrix falls apart here
      d[i + 1] -= moved;
      e[high] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = d[i + 1] - moved;
    const double along = (d[i] - g) * s + 2 * c * b;
    moved = s * along;
    d[i + 1] = g + moved;
    g = c * along - b;
    turn_rows(v.data() + i * n, v.data() + (i + 1) * n, n, c, s);
  }
  d[low] -= moved;
  e[low] = g;
  e[high] = 0;
}

}  // namespace

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

SymmetricEigen symmetric_eigen(std::vector<double> a, int64_t n) {
  std::vector<double> v(a.size(), 0.0);
  for (int64_t i = 0; i < n; ++i) v[i * n + i] = 1;
  // What lies below the rounding of the largest numbers cannot be told from 0.
  const double norm = std::sqrt(dot(a.data(), a.data(), n * n));
  require(std::isfinite(norm), "[eigen] the matrix of {} rows holds numbers that are not finite", n);
  for (int i = 0; i < 60 && sweep(a, v, n, 1e-16 * norm); ++i) {
  }
  std::vector<double> values(static_cast<std::size_t>(n));
  for (int64_t i = 0; i < n; ++i) values[i] = a[i * n + i];
  return in_order(values, v);
}

SymmetricEigen tridiagonal_eigen(std::vector<double> d, std::vector<double> e) {
  const auto n = static_cast<int64_t>(d.size());
  e.resize(d.size(), 0.0);
  if (n > 0) e.back() = 0;
  std::vector<double> v(static_cast<std::size_t>(n * n), 0.0);
  for (int64_t i = 0; i < n; ++i) v[i * n + i] = 1;
  for (int64_t low = 0; low < n; ++low) {
    for (int round = 0;; ++round) {
      require(round < 60, "[eigen] the tridiagonal matrix of {} rows does not converge", n);
      int64_t high = low;
      while (high + 1 < n && std::abs(e[high]) > 1e-16 * (std::abs(d[high]) + std::abs(d[high + 1]))) ++high;
      if (high == low) break;
      ql_step(d, e, v, low, high);
    }
  }
  return in_order(d, v);
}

}  // namespace crate
