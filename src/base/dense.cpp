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
  std::vector<int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return a[i * n + i] > a[j * n + j]; });
  SymmetricEigen out;
  for (const int64_t i : order) {
    const double* row = v.data() + i * n;
    const double* top = std::max_element(row, row + n, [](double x, double y) { return std::abs(x) < std::abs(y); });
    out.values.push_back(a[i * n + i]);
    for (int64_t j = 0; j < n; ++j) out.vectors.push_back(*top < 0 ? -row[j] : row[j]);
  }
  return out;
}

}  // namespace crate
