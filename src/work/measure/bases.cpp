#include "work/measure/bases.h"

#include <algorithm>
#include <cmath>

#include "base/dense.h"

namespace crate {
namespace {

// Products of all scaled directions: (heads p, heads p).
std::vector<double> cosines_of(const std::vector<double>& u, int64_t rows, int64_t dim) {
  std::vector<double> length(static_cast<std::size_t>(rows)), out(static_cast<std::size_t>(rows * rows));
  for (int64_t i = 0; i < rows; ++i) length[i] = std::sqrt(dot(&u[i * dim], &u[i * dim], dim));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      const double scale = length[i] * length[j];
      out[i * rows + j] = out[j * rows + i] = scale > 0 ? dot(&u[i * dim], &u[j * dim], dim) / scale : 0;
    }
  }
  return out;
}

// Largest singular value of the block (p, p) of heads k and j.
double block_norm(const std::vector<double>& cosines, int64_t rows, int64_t p, int64_t k, int64_t j) {
  std::vector<double> gram(static_cast<std::size_t>(p * p));
  for (int64_t a = 0; a < p; ++a)
    for (int64_t b = 0; b < p; ++b)
      gram[a * p + b] = dot(&cosines[(k * p + a) * rows + j * p], &cosines[(k * p + b) * rows + j * p], p);
  return std::sqrt(std::max(0.0, symmetric_eigen(gram, p).values[0]));
}

void coherence(Bases& out, const std::vector<double>& cosines, int64_t heads, int64_t p) {
  const int64_t rows = heads * p;
  double within = 0, between = 0;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < i; ++j) (i / p == j / p ? within : between) += std::abs(cosines[i * rows + j]);
  }
  const auto pairs_within = static_cast<double>(heads * p * (p - 1) / 2);
  const auto pairs_between = static_cast<double>(heads * (heads - 1) / 2 * p * p);
  out.within = pairs_within > 0 ? within / pairs_within : 0;
  out.between = pairs_between > 0 ? between / pairs_between : 0;
  out.overlap.assign(heads, std::vector<double>(heads));
  for (int64_t k = 0; k < heads; ++k) {
    for (int64_t j = 0; j <= k; ++j) {
      out.overlap[k][j] = out.overlap[j][k] = block_norm(cosines, rows, p, k, j);
      if (j < k) out.overlap_max = std::max(out.overlap_max, out.overlap[k][j]);
    }
  }
}

// W (d, rows) holds in its columns what U' holds in its rows, when the theory is kept to the letter.
void compare_with_output(Bases& out, const std::vector<double>& u, const std::vector<double>& w, int64_t heads,
                         int64_t p, int64_t dim) {
  const int64_t rows = heads * p;
  double all_uw = 0, all_uu = 0, all_ww = 0;
  for (int64_t h = 0; h < heads; ++h) {
    double uw = 0, uu = 0, ww = 0;
    for (int64_t i = h * p; i < (h + 1) * p; ++i) {
      for (int64_t j = 0; j < dim; ++j) {
        const double a = u[i * dim + j], b = w[j * rows + i];
        uw += a * b;
        uu += a * a;
        ww += b * b;
      }
    }
    out.cosine_per_head.push_back(uu * ww > 0 ? uw / std::sqrt(uu * ww) : 0);
    all_uw += uw;
    all_uu += uu;
    all_ww += ww;
  }
  out.cosine = all_uu * all_ww > 0 ? all_uw / std::sqrt(all_uu * all_ww) : 0;
}

}  // namespace

Bases measure_bases(const std::vector<double>& u, const std::vector<double>* w, int64_t heads, int64_t dim) {
  const int64_t rows = static_cast<int64_t>(u.size()) / dim, p = rows / heads;
  Bases out;
  coherence(out, cosines_of(u, rows, dim), heads, p);
  for (int64_t h = 0; h < heads; ++h) {
    std::vector<double> gram(static_cast<std::size_t>(p * p));
    for (int64_t a = 0; a < p; ++a)
      for (int64_t b = 0; b < p; ++b) gram[a * p + b] = dot(&u[(h * p + a) * dim], &u[(h * p + b) * dim], dim);
    std::vector<double> values = symmetric_eigen(gram, p).values;
    for (double& v : values) v = std::sqrt(std::max(0.0, v));
    out.rank.push_back(rank_of(values, 1e-6));
    out.spectrum.push_back(std::move(values));
  }
  if (w) compare_with_output(out, u, *w, heads, p, dim);
  return out;
}

double effective_rank(const std::vector<double>& values) {
  double sum = 0, entropy = 0;
  for (const double v : values) sum += std::max(0.0, v);
  if (sum <= 0) return 0;
  for (const double v : values) {
    if (v > 0) entropy -= v / sum * std::log(v / sum);
  }
  return std::exp(entropy);
}

int64_t rank_of(const std::vector<double>& values, double share) {
  const double largest = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  return largest > 0 ? std::count_if(values.begin(), values.end(), [&](double v) { return v > share * largest; }) : 0;
}

}  // namespace crate
