#include "work/measure/rate.h"

#include <cmath>

#include "base/dense.h"

namespace crate {
namespace {

RowsOf<double> head_of(const RowsOf<double>& coords, int64_t heads, int64_t h) {
  const int64_t p = coords.d / heads;
  return {coords.data + h * p, coords.n, p, coords.stride};
}

}  // namespace

double rate_of(const RowsOf<double>& z, double squared_precision, bool unit) {
  return coding_rate_of(z, static_cast<double>(z.d) / (static_cast<double>(z.n) * squared_precision), unit);
}

double compressed_rate_of(const RowsOf<double>& coords, int64_t heads, double squared_precision, bool unit) {
  double sum = 0;
  for (int64_t h = 0; h < heads; ++h) sum += rate_of(head_of(coords, heads, h), squared_precision, unit);
  return sum;
}

void add_moments(const RowsOf<double>& coords, int64_t heads, std::vector<double>& moments) {
  const int64_t p = coords.d / heads;
  for (int64_t h = 0; h < heads; ++h) {
    const RowsOf<double> w = head_of(coords, heads, h);
    double* moment = moments.data() + h * p * p;
    for (int64_t i = 0; i < w.n; ++i) {
      const double* row = w.data + i * w.stride;
      const double squares = dot(row, row, p);
      for (int64_t a = 0; squares > 0 && a < p; ++a) {
        const double factor = row[a] / (squares * static_cast<double>(w.n));
        for (int64_t b = 0; b < p; ++b) moment[a * p + b] += factor * row[b];
      }
    }
  }
}

}  // namespace crate
