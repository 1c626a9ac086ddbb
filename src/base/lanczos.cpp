#include "base/lanczos.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace crate {
namespace {

class Lanczos {
 public:
  Lanczos(int64_t n, const Operator& apply) : n_(n), apply_(apply), next_(static_cast<std::size_t>(n)) { begin(); }

  int64_t size() const { return static_cast<int64_t>(alpha_.size()); }
  double beta() const { return beta_.back(); }

  void step() {
    q_.insert(q_.end(), next_.begin(), next_.end());
    const double* q = &q_[q_.size() - static_cast<std::size_t>(n_)];
    apply_(q, next_.data());
    alpha_.push_back(dot(q, next_.data(), n_));
    orthogonalise();
    double beta = std::sqrt(dot(next_.data(), next_.data(), n_));
    scale_ = std::max({scale_, std::abs(alpha_.back()), beta});
    // Nothing new: the vectors so far are closed under A, and another start leads to the rest.
    if (beta <= 1e-13 * scale_ && size() < n_) {
      begin();
      orthogonalise();
      beta = 0;
    }
    beta_.push_back(beta);
    const double length = std::sqrt(dot(next_.data(), next_.data(), n_));
    for (double& x : next_) x /= length > 0 ? length : 1;
  }

  SymmetricEigen tridiagonal() const { return tridiagonal_eigen(alpha_, beta_); }

  std::vector<double> combined(const double* s) const {
    std::vector<double> x(static_cast<std::size_t>(n_));
    for (int64_t i = 0; i < size(); ++i)
      for (int64_t j = 0; j < n_; ++j) x[j] += s[i] * q_[i * n_ + j];
    return x;
  }

 private:
  // Fractions of multiples of the golden ratio: no two entries alike, no period.
  void begin() {
    ++starts_;
    double length = 0;
    for (int64_t i = 0; i < n_; ++i) {
      const double turn = static_cast<double>(starts_ * n_ + i + 1) * 0.6180339887498949;
      next_[i] = turn - std::floor(turn) - 0.5;
      length += next_[i] * next_[i];
    }
    for (double& x : next_) x /= std::sqrt(length);
  }
  void orthogonalise() {
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t i = 0; i * n_ < static_cast<int64_t>(q_.size()); ++i) {
        const double* q = &q_[i * n_];
        const double along = dot(q, next_.data(), n_);
#pragma omp simd
        for (int64_t j = 0; j < n_; ++j) next_[j] -= along * q[j];
      }
    }
  }

  int64_t n_, starts_ = 0;
  const Operator& apply_;
  double scale_ = 0;
  std::vector<double> q_, next_, alpha_, beta_;
};

}  // namespace

SymmetricEigen largest_eigen(int64_t n, int64_t count, const Operator& apply, double tolerance) {
  require(count > 0 && count <= n, "[lanczos] {} eigenvalues of an operator on {} dimensions were asked for", count, n);
  Lanczos lanczos(n, apply);
  for (int64_t look = std::min(n, std::max<int64_t>(20, 2 * count));;) {
    while (lanczos.size() < look) lanczos.step();
    const int64_t m = lanczos.size();
    const SymmetricEigen t = lanczos.tridiagonal();
    const double largest = std::max(std::abs(t.values.front()), std::abs(t.values.back()));
    double error = 0;
    for (int64_t i = 0; i < count; ++i)
      error = std::max(error, lanczos.beta() * std::abs(t.vectors[static_cast<std::size_t>(i * m + m - 1)]));
    if (error > tolerance * largest && m < n) {
      look = std::min(n, m + m / 2);
      continue;
    }
    SymmetricEigen out;
    for (int64_t i = 0; i < count; ++i) {
      std::vector<double> x = lanczos.combined(&t.vectors[static_cast<std::size_t>(i * m)]);
      const double top =
          *std::max_element(x.begin(), x.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
      const double length = std::sqrt(dot(x.data(), x.data(), n)) * (top < 0 ? -1 : 1);
      for (double& v : x) v /= length;
      out.values.push_back(t.values[static_cast<std::size_t>(i)]);
      out.vectors.insert(out.vectors.end(), x.begin(), x.end());
    }
    return out;
  }
}

}  // namespace crate
