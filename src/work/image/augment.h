// augment: from a decoded image to what a model sees. The defaults are those of the authors' ImageNet code: for
// training a random part scaled to the input and mirrored half of the time, for evaluation the short side to 256 and
// the middle 224, both bilinear, then (x / 255 - mean) / std with ImageNet's statistics. Order in training: part and
// scale, mirror, RandAugment, colour jitter, grey, blur, solarise, normalise, erase.
#pragma once
#include <string>
#include <vector>

#include "work/image/draws.h"
#include "work/image/image.h"
#include "work/image/resample.h"

namespace crate {

/// Of training images. The fields are the keys of a recipe; a probability of 0 leaves a change out.
struct AugmentOptions {
  int height = 224, width = 224;
  /// "random": a part of random area and proportion, scaled; "padded": scaled and cut to the size, then shifted by up
  /// to `padding` pixels, black coming in; "centre": the short side scaled to the size, the middle cut out.
  std::string crop = "random";
  double scale_min = 0.08, scale_max = 1.0;         // of the area
  double ratio_min = 3.0 / 4, ratio_max = 4.0 / 3;  // width : height, before scaling
  int padding = 4;
  std::string interpolation = "bilinear";  // or "bicubic"
  double flip = 0.5;

  int randaugment = 0;           // changes an image
  int randaugment_strength = 9;  // of 30

  double jitter = 1.0;  // probability of the four below, in random order; factors in 1 -+ value, hue in -+ value
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
  double grey = 0;
  double blur = 0, blur_min = 0.1, blur_max = 2.0;  // sigma in pixels
  double solarise = 0;                              // at 128

  double erase = 0, erase_min = 0.02, erase_max = 1.0 / 3;  // area
  double erase_ratio_min = 0.3, erase_ratio_max = 3.3;
  bool erase_noise = false;  // normal noise instead of the mean colour

  // Of whole batches; see mix.h.
  double mixup = 0, cutmix = 0;  // alpha of the Beta distribution
  double mix = 1.0;              // probability that a batch is mixed
  double mix_switch = 0.5;       // probability of cutmix where both are on
  double label_smoothing = 0;
};

/// Of images that are measured: the short side becomes `resize` (0: what just covers the crop), the middle is cut out.
struct EvalTransform {
  int resize = 256, height = 224, width = 224;
  std::string interpolation = "bilinear";
};

/// One number a channel; ImageNet's by default.
struct Normalisation {
  std::vector<float> mean = {0.485F, 0.456F, 0.406F};
  std::vector<float> std = {0.229F, 0.224F, 0.225F};
};

/// Throws Error naming the key of the first option that has no sense.
void check(const AugmentOptions& options);
void check(const EvalTransform& transform);
void check(const Normalisation& normalisation, int channels);

/// Up to and with solarise: height x width, bytes.
Image augmented(const Image& image, const AugmentOptions& options, Draws& draws);
Image transformed(const Image& image, const EvalTransform& transform);
/// The part that a random crop takes of an image.
Box random_part(int height, int width, const AugmentOptions& options, Draws& draws);

/// Bytes (h, w, c) to numbers (c, h, w).
void normalise(const Image& image, const Normalisation& normalisation, float* out);
/// The bytes that normalise() made numbers of, rounded and cut; for pictures of what a model saw.
Image denormalised(const float* numbers, int height, int width, const Normalisation& normalisation);
/// Erases a random rectangle of normalised numbers (c, h, w), with the probability of the options.
void erase(float* numbers, int channels, const AugmentOptions& options, Draws& draws);

}  // namespace crate
