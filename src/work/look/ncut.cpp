#include "work/look/ncut.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/lanczos.h"
#include "base/parallel.h"

namespace crate {
namespace {

constexpr double weak = 1e-5;

// Rows of length 1; a row of zeros is like nothing.
std::vector<double> directions_of(const PatchFeatures& f) {
  std::vector<double> out = f.values;
  for (int64_t i = 0; i < f.patches(); ++i) {
    double* row = &out[i * f.width];
    const double length = std::sqrt(dot(row, row, f.width));
    for (int64_t j = 0; j < f.width; ++j) row[j] *= length > 0 ? 1 / length : 0;
  }
  return out;
}

// The graph on the patches `left`, or nothing when all its edges are of one kind.
std::vector<double> graph_of(const std::vector<double>& directions, int64_t width, const std::vector<int64_t>& left,
                             double tau) {
  const auto n = static_cast<int64_t>(left.size());
  std::vector<double> w(static_cast<std::size_t>(n * n));
  parallel_for(n, 16, [&](int64_t lo, int64_t hi) {
    for (int64_t i = lo; i < hi; ++i) {
      for (int64_t j = 0; j < n; ++j)
        w[i * n + j] = dot(&directions[left[i] * width], &directions[left[j] * width], width) > tau ? 1 : weak;
      w[i * n + i] = 1;
    }
  });
  const int64_t strong = std::count(w.begin(), w.end(), 1.0) - n;
  if (strong == 0 || strong == n * n - n) return {};
  return w;
}

int64_t strongest(const std::vector<double>& x, const std::vector<uint8_t>& side) {
  int64_t best = -1;
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    if (side[i] && (best < 0 || std::abs(x[i]) > std::abs(x[best]))) best = i;
  }
  return best;
}

// Of the cut's two sides the one that is the object.
std::vector<uint8_t> object_side(const std::vector<double>& x, const std::vector<int64_t>& left,
                                 const PatchFeatures& f) {
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  std::vector<uint8_t> side(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) side[i] = x[i] > mean ? 1 : 0;
  const auto turn = [&] {
    for (uint8_t& s : side) s = 1 - s;
  };
  if (!side[strongest(x, std::vector<uint8_t>(x.size(), 1))]) turn();
  const auto last = f.columns - 1, bottom = (f.rows - 1) * f.columns;
  int corners = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const bool corner = left[i] == 0 || left[i] == last || left[i] == bottom || left[i] == bottom + last;
    corners += corner && side[i] ? 1 : 0;
  }
  if (corners >= 3) turn();
  return side;
}

// The patches of `mask` that are joined to `seed`.
PatchMask connected(const PatchMask& mask, int64_t seed, int64_t columns) {
  PatchMask out(mask.size(), 0);
  std::vector<int64_t> open = {seed};
  out[seed] = 1;
  while (!open.empty()) {
    const int64_t at = open.back(), column = at % columns;
    open.pop_back();
    for (const auto& [next, inside] : {std::pair{at - 1, column > 0}, std::pair{at + 1, column + 1 < columns},
                                       std::pair{at - columns, at >= columns},
                                       std::pair{at + columns, at + columns < static_cast<int64_t>(mask.size())}}) {
      if (!inside || !mask[next] || out[next]) continue;
      out[next] = 1;
      open.push_back(next);
    }
  }
  return out;
}

}  // namespace

NormalisedCut normalised_cut(const std::vector<double>& w, int64_t n) {
  std::vector<double> root(static_cast<std::size_t>(n)), scaled(static_cast<std::size_t>(n));  // of D; x / root
  const std::vector<double> ones(static_cast<std::size_t>(n), 1.0);
  for (int64_t i = 0; i < n; ++i) root[i] = std::sqrt(dot(&w[i * n], ones.data(), n));
  // D^-1/2 W D^-1/2 has the eigenvalue 1 at D^1/2 1; we move it to -1, out of the way.
  const double length = dot(root.data(), root.data(), n);
  const SymmetricEigen top = largest_eigen(n, 1, [&](const double* x, double* y) {
    for (int64_t i = 0; i < n; ++i) scaled[i] = x[i] / root[i];
    const double known = 2 * dot(root.data(), x, n) / length;
    parallel_for(n, 64, [&](int64_t lo, int64_t hi) {
      for (int64_t i = lo; i < hi; ++i) y[i] = dot(&w[i * n], scaled.data(), n) / root[i] - known * root[i];
    });
  });
  NormalisedCut out{top.vectors, 1 - top.values[0]};
  for (int64_t i = 0; i < n; ++i) out.x[i] /= root[i];
  const double norm = std::sqrt(dot(out.x.data(), out.x.data(), n));
  for (double& v : out.x) v /= norm;
  return out;
}

std::vector<PatchMask> find_objects(const PatchFeatures& f, const NcutOptions& options) {
  require(options.objects > 0, "[ncut] at least one object must be sought, came {}", options.objects);
  require(options.tau > -1 && options.tau < 1, "[ncut] tau is a cosine between -1 and 1, came {}", options.tau);
  require(f.patches() <= 10000, "[ncut] {} patches are more than the 10000 a cut is meant for; give a smaller size",
          f.patches());
  const std::vector<double> directions = directions_of(f);
  std::vector<int64_t> left(static_cast<std::size_t>(f.patches()));
  std::iota(left.begin(), left.end(), 0);
  std::vector<PatchMask> objects;
  while (static_cast<int64_t>(objects.size()) < options.objects && left.size() > 1) {
    const std::vector<double> w = graph_of(directions, f.width, left, options.tau);
    if (w.empty()) break;
    const std::vector<double> x = normalised_cut(w, static_cast<int64_t>(left.size())).x;
    const std::vector<uint8_t> side = object_side(x, left, f);
    const int64_t seed = strongest(x, side);
    if (seed < 0) break;
    PatchMask mask(static_cast<std::size_t>(f.patches()), 0);
    for (std::size_t i = 0; i < left.size(); ++i) mask[left[i]] = side[i];
    objects.push_back(connected(mask, left[seed], f.columns));
    std::erase_if(left, [&](int64_t i) { return objects.back()[i] != 0; });
  }
  return objects;
}

}  // namespace crate
