// ncut: parts an image into objects by the normalised cut of its patches (Shi and Malik, 2000), one object after the
// other, as MaskCut does (Wang et al., "Cut and learn", 2023), which the CRATE papers use to count what a supervised
// network has found of segmentation by itself.
//
//   w_ij = 1 where cos(f_i, f_j) > tau, else 1e-5      f: features of the patches; W need not be the whole grid
//   (D - W) x = mu D x,  D = diag of the row sums       x: the second smallest eigenvector
//   two sides: x above its mean, and the rest           object: the side that holds the largest |x|, unless three or
//   four
//                                                       corners of the image lie on it; of it the connected part
//                                                       (4 neighbours) around the largest |x|
//
// The next object is sought among the patches that no object has yet. mu is found through the largest eigenvalue of
// D^-1/2 W D^-1/2 beside the known one, by base/lanczos.
#pragma once
#include <cstdint>
#include <vector>

namespace crate {

/// Rows of a grid of patches, from the top left: (rows columns, width).
struct PatchFeatures {
  int64_t rows = 0, columns = 0, width = 0;
  std::vector<double> values;
  int64_t patches() const { return rows * columns; }
};

struct NcutOptions {
  int64_t objects = 1;
  double tau = 0.15;
};

/// 1 where a patch belongs to the object.
using PatchMask = std::vector<uint8_t>;

struct NormalisedCut {
  std::vector<double> x;  // of length 1
  double mu = 0;
};

/// w (n, n) symmetric with positive entries, n >= 2.
NormalisedCut normalised_cut(const std::vector<double>& w, int64_t n);

/// At most options.objects; fewer when what is left holds nothing to cut: all alike or all unlike. Throws Error when
/// the options have no sense or the grid is beyond 10000 patches.
std::vector<PatchMask> find_objects(const PatchFeatures& features, const NcutOptions& options);

}  // namespace crate
