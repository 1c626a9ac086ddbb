// segment: masks of objects that nobody taught a model, and how well they cover the true ones.
//
// Two ways to find them, both of Yu et al., "Emergence of segmentation with minimalistic white-box transformers"
// (2023):
//   ncut       normalised cut of the patches' shared projections (ncut.h), as many objects as asked for
//   attention  the class token's attention of one head: the patches that together hold the share `keep` of its mass,
//              the largest first; every head gives a mask
//
// Scores against a true mask (0 ground, 255 not counted, else a class or an object):
//   IoU(a, b) = |a and b| / |a or b|
//   foreground   of the union of all found masks with everything that is not ground
//   best         of every true class or object with the found mask that fits it best, mean over them. With `attention`
//                the best head is chosen knowing the answer, as the papers do, so compare it only with itself
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "work/look/view.h"

namespace crate {

struct SegmentOptions {
  std::string method = "ncut";  // or "attention"
  NcutOptions ncut = {};
  double keep = 0.6;   // of the attention's mass
  int64_t layer = -1;  // -1: usual_layer()
  int64_t size = 0;    // see input_for()
};

struct Segmentation {
  int64_t rows = 0, columns = 0;  // the grid of patches
  std::vector<PatchMask> masks;   // an object each; with `attention` a head each
};

Segmentation segment(Model& model, const Image& picture, const SegmentOptions& options);

/// The patches that hold the share `keep` of a map's sum, the largest first.
PatchMask mass_mask(const double* map, int64_t patches, double keep);

/// Pixels 1, 2, .. by object at the picture's size, 0 where no object is; an earlier object covers a later one.
Image mask_image(const Segmentation& s, int height, int width);

struct SegmentScore {
  double foreground = 0, best = 0;
  int64_t truths = 0;  // classes or objects in the true mask
};
/// Throws Error when the mask is not one channel or holds no object.
SegmentScore score(const Segmentation& s, const Image& truth);
/// Whether a mask holds anything to be found.
bool has_objects(const Image& truth);

}  // namespace crate
