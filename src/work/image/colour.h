// colour: changes of colour and sharpness, on bytes and rounded as PIL rounds them, so that augmentation is the
// authors'. The blends are a + f (b - a) between a degenerate image a and the image b, cut to a byte: f = 0 gives a, 1
// the image, above 1 exaggerates it.
#pragma once
#include "work/image/image.h"

namespace crate {

void brightness(Image& image, double factor);  // a: black
void contrast(Image& image, double factor);    // a: the mean grey
void saturation(Image& image, double factor);  // a: the image in grey
void sharpness(Image& image, double factor);   // a: each inner pixel the mean of its 3 x 3, itself counted five times
/// Turns the colour circle by `turn` of it, in [-1/2, 1/2].
void hue(Image& image, double turn);
void to_grey(Image& image);
/// Levels of at least `threshold` turn into their negative.
void solarise(Image& image, int threshold);
/// Keeps the `kept` highest bits of each level.
void posterise(Image& image, int kept);
/// Each channel stretched to 0 .. 255.
void stretch_contrast(Image& image);
/// Each channel's levels spread so that all are about equally frequent.
void equalise(Image& image);
/// The true Gaussian, cut at 3 sigma; the border repeats.
void gaussian_blur(Image& image, double sigma);

}  // namespace crate
