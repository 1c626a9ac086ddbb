#include "work/look/components.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/lanczos.h"

namespace crate {
namespace {

std::vector<double> centred(const std::vector<double>& rows, int64_t width) {
  const auto n = static_cast<int64_t>(rows.size()) / width;
  std::vector<double> mean(static_cast<std::size_t>(width)), out = rows;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < width; ++j) mean[j] += rows[i * width + j] / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < width; ++j) out[i * width + j] -= mean[j];
  return out;
}

// Of the values v[k], v[k + stride], ...: those that 1 % lie below and above.
std::array<double, 2> ends_of(const std::vector<double>& v, int64_t k, int64_t stride) {
  std::vector<double> sorted;
  for (std::size_t i = static_cast<std::size_t>(k); i < v.size(); i += static_cast<std::size_t>(stride))
    sorted.push_back(v[i]);
  std::sort(sorted.begin(), sorted.end());
  const std::size_t cut = sorted.size() / 100;
  return {sorted[cut], sorted[sorted.size() - 1 - cut]};
}

bool at_border(const PatchFeatures& f, int64_t i) {
  const int64_t row = i / f.columns, column = i % f.columns;
  return row == 0 || column == 0 || row + 1 == f.rows || column + 1 == f.columns;
}

// One flag a patch, over all pictures.
std::vector<uint8_t> foreground_of(const std::vector<PatchFeatures>& pictures, const std::vector<double>& rows) {
  const std::vector<double> first = principal_coordinates(rows, pictures[0].width, 1);
  const auto [low, high] = std::minmax_element(first.begin(), first.end());
  const double half = (*low + *high) / 2;
  std::vector<uint8_t> above(first.size());
  std::array<int64_t, 2> border = {0, 0}, all = {0, 0};
  std::size_t at = 0;
  for (const PatchFeatures& f : pictures) {
    for (int64_t i = 0; i < f.patches(); ++i, ++at) {
      above[at] = first[at] > half ? 1 : 0;
      ++all[above[at]];
      border[above[at]] += at_border(f, i) ? 1 : 0;
    }
  }
  // The side that lies less at the borders, as a share of itself.
  const double below_share = static_cast<double>(border[0]) / static_cast<double>(std::max<int64_t>(1, all[0]));
  const double above_share = static_cast<double>(border[1]) / static_cast<double>(std::max<int64_t>(1, all[1]));
  if (above_share > below_share)
    for (uint8_t& a : above) a = 1 - a;
  return above;
}

}  // namespace

std::vector<double> principal_coordinates(const std::vector<double>& rows, int64_t width, int64_t count) {
  const auto n = static_cast<int64_t>(rows.size()) / width;
  require(n > count, "{} patches are too few for {} principal components", n, count);
  const std::vector<double> x = centred(rows, width);
  require(dot(x.data(), x.data(), n * width) > 0, "the patches are all alike: they have no principal component");
  const SymmetricEigen e = largest_eigen(width, std::min(count, width), [&](const double* v, double* y) {
    std::fill_n(y, width, 0.0);
    for (int64_t i = 0; i < n; ++i) {
      const double along = dot(&x[i * width], v, width);
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) y[j] += along * x[i * width + j];
    }
  });
  std::vector<double> out(static_cast<std::size_t>(n * count));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < std::min(count, width); ++k)
      out[i * count + k] = dot(&x[i * width], &e.vectors[k * width], width);
  }
  return out;
}

std::vector<PatchColours> colours_by_components(const std::vector<PatchFeatures>& pictures, bool foreground) {
  require(!pictures.empty(), "no picture to colour");
  const int64_t width = pictures[0].width;
  std::vector<double> rows;
  for (const PatchFeatures& f : pictures) {
    require(f.width == width, "features of {} and {} numbers cannot be compared", width, f.width);
    rows.insert(rows.end(), f.values.begin(), f.values.end());
  }
  const auto n = static_cast<int64_t>(rows.size()) / width;
  std::vector<uint8_t> wanted(static_cast<std::size_t>(n), 1);
  if (foreground) wanted = foreground_of(pictures, rows);
  std::vector<double> kept;
  for (int64_t i = 0; i < n; ++i) {
    if (wanted[i]) kept.insert(kept.end(), rows.begin() + i * width, rows.begin() + (i + 1) * width);
  }
  const std::vector<double> coordinates = principal_coordinates(kept, width, 3);
  std::array<std::array<double, 2>, 3> ends;
  for (int64_t k = 0; k < 3; ++k) ends[k] = ends_of(coordinates, k, 3);
  std::vector<PatchColours> out;
  int64_t at = 0, coloured = 0;
  for (const PatchFeatures& f : pictures) {
    PatchColours c;
    for (int64_t i = 0; i < f.patches(); ++i, ++at) {
      std::array<double, 3> rgb = {0, 0, 0};
      for (int64_t k = 0; wanted[at] && k < 3; ++k) {
        const double span = ends[k][1] - ends[k][0];
        rgb[k] = span > 0 ? std::clamp((coordinates[coloured * 3 + k] - ends[k][0]) / span, 0.0, 1.0) : 0.5;
      }
      coloured += wanted[at];
      c.rgb.push_back(rgb);
      c.foreground.push_back(wanted[at]);
    }
    out.push_back(std::move(c));
  }
  return out;
}

}  // namespace crate
