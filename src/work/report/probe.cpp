#include "work/report/probe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/parallel.h"

namespace crate {
namespace {

struct Column {
  double mean[2] = {0, 0}, square = 0;
};

std::array<int64_t, 2> class_sizes(const LabelledRows& rows) {
  std::array<int64_t, 2> n{};
  for (const uint8_t y : rows.labels) ++n[y];
  require(n[0] > 0 && n[1] > 0, "[probe] expected rows of both classes, came {} and {}", n[0], n[1]);
  return n;
}

// Cholesky of the symmetric a (n x n, row-major), in place; solves a x = b.
std::vector<double> solve(std::vector<double> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      double s = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) s -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(std::max(s, 1e-12)) : s / a[j * n + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

// The chosen columns, standardised, with a column of ones at the end.
struct Standardised {
  std::vector<double> x, mean, spread;
  std::size_t width;
};

Standardised standardise(const LabelledRows& rows, const std::vector<int32_t>& columns) {
  const std::size_t k = columns.size(), n = static_cast<std::size_t>(rows.rows());
  Standardised out{std::vector<double>(n * (k + 1), 1.0), std::vector<double>(k), std::vector<double>(k), k + 1};
  for (std::size_t j = 0; j < k; ++j) {
    const auto at = [&](std::size_t i) {
      return static_cast<double>(
          rows.x[i * static_cast<std::size_t>(rows.width) + static_cast<std::size_t>(columns[j])]);
    };
    double sum = 0, square = 0;
    for (std::size_t i = 0; i < n; ++i) sum += at(i);
    out.mean[j] = sum / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) square += (at(i) - out.mean[j]) * (at(i) - out.mean[j]);
    out.spread[j] = std::max(1e-12, std::sqrt(square / static_cast<double>(n)));
    for (std::size_t i = 0; i < n; ++i) out.x[i * (k + 1) + j] = (at(i) - out.mean[j]) / out.spread[j];
  }
  return out;
}

// Loss plus penalty, with gradient and Hessian when asked for.
double logistic_loss(const Standardised& s, const std::vector<uint8_t>& labels, const std::array<double, 2>& weights,
                     const std::vector<double>& w, std::vector<double>* gradient, std::vector<double>* hessian) {
  const std::size_t n = labels.size(), width = s.width;
  double loss = 0;
  if (gradient) gradient->assign(width, 0), hessian->assign(width * width, 0);
  for (std::size_t i = 0; i < n; ++i) {
    const double* x = s.x.data() + i * width;
    const double z = std::inner_product(x, x + width, w.begin(), 0.0), sign = labels[i] ? 1 : -1;
    const double c = weights[labels[i]];
    loss += c * (std::max(0.0, -sign * z) + std::log1p(std::exp(-std::abs(z))));
    if (!gradient) continue;
    const double p = 1 / (1 + std::exp(-z)), g = c * (p - labels[i]), h = c * p * (1 - p);
    for (std::size_t a = 0; a < width; ++a) {
      (*gradient)[a] += g * x[a];
      for (std::size_t b = 0; b <= a; ++b) (*hessian)[a * width + b] += h * x[a] * x[b];
    }
  }
  for (std::size_t a = 0; a + 1 < width; ++a) {  // |w|^2 / 2 on the sums; the bias goes free
    loss += 0.5 * w[a] * w[a];
    if (gradient) (*gradient)[a] += w[a], (*hessian)[a * width + a] += 1;
  }
  return loss;
}

}  // namespace

std::vector<int32_t> pick_columns(const LabelledRows& train, int64_t k) {
  const auto n = class_sizes(train);
  std::vector<double> score(static_cast<std::size_t>(train.width));
  parallel_for(train.width, 64, [&](int64_t lo, int64_t hi) {
    std::vector<Column> columns(static_cast<std::size_t>(hi - lo));
    for (int64_t i = 0; i < train.rows(); ++i) {
      const float* row = train.x.data() + i * train.width;
      const uint8_t y = train.labels[static_cast<std::size_t>(i)];
      for (int64_t j = lo; j < hi; ++j) {
        Column& c = columns[static_cast<std::size_t>(j - lo)];
        c.mean[y] += row[j];
        c.square += static_cast<double>(row[j]) * row[j];
      }
    }
    for (int64_t j = lo; j < hi; ++j) {
      const Column& c = columns[static_cast<std::size_t>(j - lo)];
      const double all = (c.mean[0] + c.mean[1]) / static_cast<double>(train.rows());
      const double variance = c.square / static_cast<double>(train.rows()) - all * all;
      const double gap = c.mean[1] / static_cast<double>(n[1]) - c.mean[0] / static_cast<double>(n[0]);
      score[static_cast<std::size_t>(j)] =
          variance > 1e-12 * (all * all + 1e-12) ? std::abs(gap) / std::sqrt(variance) : -1;
    }
  });
  std::vector<int32_t> order(score.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return score[static_cast<std::size_t>(a)] > score[static_cast<std::size_t>(b)];
  });
  std::erase_if(order, [&](int32_t j) { return score[static_cast<std::size_t>(j)] < 0; });
  order.resize(std::min(order.size(), static_cast<std::size_t>(k)));
  return order;
}

double LogisticFit::score(const float* row) const {
  double z = bias;
  for (std::size_t j = 0; j < columns.size(); ++j) z += weights[j] * row[columns[j]];
  return z;
}

LogisticFit fit_logistic(const LabelledRows& train, std::vector<int32_t> columns) {
  const Standardised s = standardise(train, columns);
  const auto n = class_sizes(train);
  const auto half = static_cast<double>(train.rows()) / 2;
  const std::array<double, 2> weights = {half / static_cast<double>(n[0]), half / static_cast<double>(n[1])};
  std::vector<double> w(s.width), gradient, hessian;
  double loss = logistic_loss(s, train.labels, weights, w, &gradient, &hessian);
  for (int i = 0; i < 50; ++i) {
    const std::vector<double> step = solve(hessian, gradient);
    double length = 1, next = loss;
    std::vector<double> tried(w.size());
    for (; length > 1e-6; length /= 2) {
      for (std::size_t a = 0; a < w.size(); ++a) tried[a] = w[a] - length * step[a];
      next = logistic_loss(s, train.labels, weights, tried, nullptr, nullptr);
      if (next <= loss) break;
    }
    const bool done = loss - next <= 1e-9 * (1 + std::abs(loss));
    if (next <= loss) w = tried;
    if (done) break;
    loss = logistic_loss(s, train.labels, weights, w, &gradient, &hessian);
  }
  LogisticFit fit{std::move(columns), {}, w.back()};
  for (std::size_t j = 0; j < fit.columns.size(); ++j) {
    fit.weights.push_back(w[j] / s.spread[j]);
    fit.bias -= w[j] * s.mean[j] / s.spread[j];
  }
  return fit;
}

std::vector<std::vector<uint8_t>> sparse_probe(const LabelledRows& train, const LabelledRows& test,
                                               std::span<const int64_t> ks) {
  require(train.width == test.width, "[probe] train rows have {} columns, test rows {}", train.width, test.width);
  std::vector<std::vector<uint8_t>> out;
  const std::vector<int32_t> best = pick_columns(train, ks.empty() ? 0 : ks.back());
  for (const int64_t k : ks) {
    const auto n = static_cast<std::ptrdiff_t>(std::min<std::size_t>(static_cast<std::size_t>(k), best.size()));
    const LogisticFit fit = fit_logistic(train, {best.begin(), best.begin() + n});
    std::vector<uint8_t> right;
    for (int64_t i = 0; i < test.rows(); ++i) {
      const bool said = fit.score(test.x.data() + i * test.width) > 0;
      right.push_back(said == (test.labels[static_cast<std::size_t>(i)] == 1));
    }
    out.push_back(std::move(right));
  }
  return out;
}

}  // namespace crate
