// components: colours for the patches of several pictures by the principal components of their features, taken
// together, so that like parts of different pictures have like colours (Yu et al., "Emergence of segmentation", 2023,
// appendix B).
//
//   X: all patches, the mean taken off; v_1, v_2, v_3 the eigenvectors of X'X with the largest eigenvalues
//   red, green, blue of a patch: x'v_1, x'v_2, x'v_3, each stretched so that 1 % of all patches lie below 0 and above 1
//
// With `foreground`, a first component is taken over all patches and cut half way between its ends; the side of whose
// patches a smaller share lies at the borders of the pictures is the foreground, and only its patches are coloured, by
// components of theirs.
#pragma once
#include <array>
#include <vector>

#include "work/look/ncut.h"

namespace crate {

struct PatchColours {
  std::vector<std::array<double, 3>> rgb;  // a patch, 0..1
  std::vector<uint8_t> foreground;         // all 1 unless asked for
};

/// Of each picture; all features of one width. Throws Error when there are fewer than four patches to colour or they
/// are all alike.
std::vector<PatchColours> colours_by_components(const std::vector<PatchFeatures>& pictures, bool foreground);

/// Rows (n, width) to the coordinates (n, count) along their `count` first principal components.
std::vector<double> principal_coordinates(const std::vector<double>& rows, int64_t width, int64_t count);

}  // namespace crate
